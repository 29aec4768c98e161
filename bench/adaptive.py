"""Tokens of the adaptive strategy against `fixed` on recorded completions, at the same number of prompts covered.

Data: `labelled/reasoning_gym_completions` (TRACEMILL_TEST_DATA, or ../shared/data beside the clone): 4,527 questions of
94 task families with 13 recorded completions of five models each. Correct is a recorded score of 1; tokens are
characters / 4 (no tokenizer stands in the record). Sample k of a question is the k-th of a seeded shuffle of its 13,
questions come in a seeded order, the group is the task family. The constants of the strategy were chosen on every
second question; figures are of the others, which `--tuning` swaps.

A prompt is covered once it has k correct samples. A curve's points count the tokens of all samples drawn so far, those
that are still out too, but only prompts whose result was told. Which prompts are favoured: bench/adaptive_bias.py.
Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from labelled import need_data
from numpy.typing import NDArray
from recorded.jobs import RECORDED, SAMPLES, Job, read, shuffled

from tracemill.core.types import Outcome
from tracemill.factory.strategies.adaptive import Adaptive
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.strategy import Draw, Strategy
from tracemill.pipelines.draws import Draws

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "adaptive.svg"
SLOTS, LONGEST = 64, 2048
"""Sequences that an imagined engine decodes at once, and its longest sample in tokens (the record's mean is 300)."""
NO_LIMIT = AdaptiveOptions(max_samples=RECORDED, hopeless=0.0, budget_tokens=10**12)
"""Goes on to the last sample, so that one run shows every budget: a smaller one is its beginning."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run drew."""

    spent: Floats
    """Tokens of all samples drawn up to each draw."""
    covered: Floats
    """Prompts known to be covered at each draw."""
    out: float
    """Mean number of draws out at a time."""


def replay(job: Job, strategy: Strategy, wanted: int, blind: bool = False, enough: int = 10**9) -> Run:
    """Draws until the strategy ends, as `pipelines.draws` does: told in order, as late as the lookahead allows.

    `blind` hides the tokens from the strategy; `enough` covered prompts end the run.
    """
    out: deque[Draw] = deque()
    right = np.zeros(len(job.groups), int)
    spent, covered, waiting = list[float](), list[int](), 0
    total = done = 0
    while done < enough:
        draw = strategy.next() if len(out) < (strategy.lookahead or 1) else None
        if draw is not None:
            out.append(draw)
            total += int(job.tokens[draw.task, draw.sample])
        elif out:
            draw = out.popleft()
            result = job.result(draw)
            right[draw.task] += result.outcome is Outcome.CORRECT
            done += bool(result.outcome is Outcome.CORRECT and right[draw.task] == wanted)
            strategy.tell(draw, replace(result, tokens=0) if blind else result)
        else:
            break
        spent.append(total)
        covered.append(done)
        waiting += len(out)
    return Run(np.array(spent, float), np.array(covered, float), waiting / len(spent))


def adaptive(job: Job, options: AdaptiveOptions, blind: bool = False) -> Run:
    return replay(job, Adaptive(options, SAMPLES, job.groups), options.correct, blind)


def to_coverage(job: Job, options: AdaptiveOptions, blind: bool = False) -> tuple[float, float]:
    """Share of `fixed`'s tokens that was not needed for its number of covered prompts, and the mean number of draws
    out on the way; the share is negative where the record's 13 samples do not suffice."""
    target = job.covered(SAMPLES, options.correct)
    run = replay(job, Adaptive(options, SAMPLES, job.groups), options.correct, blind, target)
    return float(1 - run.spent[-1] / job.cost(SAMPLES)), run.out


def stopping(job: Job, wanted: int, samples: int) -> float:
    """Tokens of `fixed` that stops a prompt at its last wanted correct sample."""
    had = job.right[:, :samples].cumsum(1) - job.right[:, :samples]
    return float((job.tokens[:, :samples] * (had < wanted)).sum())


def show(name: str, *columns: Sequence[float]) -> None:
    """A row of means over the seeds with their standard deviations."""
    print(f"{name:<42}" + "".join(f"{f'{np.mean(one):.3f} ± {np.std(one):.3f}':>20}" for one in columns))


def figures(jobs: Sequence[Job]) -> dict[str, float]:
    """What is saved at the coverage of `fixed`, and what it is owed to."""
    print(f"\n{f'saved at the coverage of n = {SAMPLES}':<42}{'1 correct':>20}{'2 correct':>20}")
    found, goals = {}, [replace(NO_LIMIT, correct=k) for k in (1, 2)]
    for name, has_groups, blind in (
        ("adaptive", True, False), ("blind to tokens", True, True), ("without groups", False, False),
    ):  # fmt: skip
        own = jobs if has_groups else [job.without_groups() for job in jobs]
        found[name] = [[to_coverage(job, goal, blind)[0] for job in own] for goal in goals]
    found["stopping early"] = [[1 - stopping(job, k, SAMPLES) / job.cost(SAMPLES) for job in jobs] for k in (1, 2)]
    for name, values in found.items():
        show(name, *values)
    means = {name: [round(float(np.mean(one)), 3) for one in values] for name, values in found.items()}
    return {
        "saved_at_equal_coverage": means["adaptive"][0],
        "saved_two": means["adaptive"][1],
        "spread": round(float(np.std(found["adaptive"][0])), 3),
        "spread_two": round(float(np.std(found["adaptive"][1])), 3),
        "without_groups": means["without groups"][0],
        "stopping_early": means["stopping early"][0],
        "stopping_early_two": means["stopping early"][1],
    }


def busy(job: Job, options: AdaptiveOptions) -> float:
    """Share of time that `SLOTS` sequences of an engine are decoded at once, to the run's end; a sample takes as long
    as its tokens, of which there are at most `LONGEST`."""
    draws, now, work = Draws(Adaptive(options, SAMPLES, job.groups), lambda draw: None), 0, 0
    running: list[tuple[int, int, Draw]] = []
    while True:
        while len(running) < SLOTS and (draw := draws.next()) is not None:
            length = min(job.result(draw).tokens, LONGEST)
            work += length
            heapq.heappush(running, (now + length, work, draw))
        if not running:
            return work / (SLOTS * now)
        now, _, draw = heapq.heappop(running)
        draws.done(draw, job.result(draw))


def engines(jobs: Sequence[Job]) -> None:
    """What the settings cost that keep engines busy, and how busy they keep them: with 40 % of `fixed`'s tokens, and
    without a budget."""
    heads = ("1 correct", "2 correct", "mean draws out", f"{SLOTS} slots busy", "without budget")
    print(f"\n{'the same by setting':<42}" + "".join(f"{head:>20}" for head in heads))
    settings = [(one, 0.5) for one in (64, 512, 1024, 4096)] + [(one, 1.0) for one in (64, 512, 1024, 4096)]
    settings += [(4096, one) for one in (0.0625, 0.125, 0.25, 0.75)]
    for lookahead, share in settings:
        own = replace(NO_LIMIT, lookahead=lookahead, share=share)
        one, two = ([to_coverage(job, replace(own, correct=k)) for job in jobs] for k in (1, 2))
        tight = [busy(job, replace(own, budget_tokens=int(0.4 * job.cost(SAMPLES)))) for job in jobs]
        whole = [busy(job, AdaptiveOptions(max_samples=RECORDED, lookahead=lookahead, share=share)) for job in jobs]
        name = f"lookahead {lookahead}, share {share}"
        show(name, [x for x, _ in one], [x for x, _ in two], [out for _, out in one], tight, whole)


def picture(jobs: Sequence[Job]) -> None:
    """Share of prompts covered by tokens a prompt; matplotlib is needed for development only."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tracemill"  # the same picture each time
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    prompts = len(jobs[0].groups)
    for wanted, axis in zip((1, 2), axes, strict=True):
        ns = range(1, RECORDED + 1)
        fixed = np.mean([[(job.cost(n), job.covered(n, wanted)) for n in ns] for job in jobs], axis=0) / prompts
        early = [[(stopping(job, wanted, n), job.covered(n, wanted)) for n in ns] for job in jobs]
        axis.plot(*fixed.T, "o-", color="#666666", label="fixed, n = 1 … 13")
        axis.plot(*(np.mean(early, axis=0) / prompts).T, "s-", color="#d9822b", label="stopping early alone")
        for name, groups, color in (("adaptive", True, "#1f6fb4"), ("adaptive without groups", False, "#9ec5e8")):
            grid = np.linspace(0, fixed[-1, 0], 200) * prompts
            own = jobs if groups else [job.without_groups() for job in jobs]
            runs = [adaptive(job, replace(NO_LIMIT, correct=wanted)) for job in own]
            lines = [np.interp(grid, run.spent, run.covered) for run in runs]
            axis.plot(grid / prompts, np.mean(lines, axis=0) / prompts, color=color, label=name)
        axis.axhline(fixed[SAMPLES - 1, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
        axis.set(xlabel="generated tokens a prompt (characters / 4)", title=f"at least {wanted} correct")
    axes[0].set_ylabel("share of prompts covered")
    axes[0].legend(loc="lower right")
    plt.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    plt.savefig(PICTURE, metadata={"Date": None})


def speed(job: Job) -> float:
    """Decisions (next, tell, and this replay's own work) a CPU second for 100,000 prompts."""
    times = 100_000 // len(job.groups) + 1
    many = Job(np.tile(job.right, (times, 1)), np.tile(job.tokens, (times, 1)), job.groups * times)
    started = time.process_time()
    return len(adaptive(many, AdaptiveOptions(max_samples=RECORDED)).spent) / 2 / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds, the figures alone, as CI runs it")
    parser.add_argument("--tuning", action="store_true", help="figures of the half that constants were chosen on")
    arguments = parser.parse_args()
    need_data()
    job = read()
    jobs = [shuffled(job, 0 if arguments.tuning else 1, seed) for seed in range(2 if arguments.quick else 8)]
    found = figures(jobs)
    if not arguments.quick:
        engines(jobs[:2])
        if not arguments.tuning:
            picture(jobs[:4])
    print(json.dumps(found | {"decisions_per_s": round(speed(jobs[0]))}))


if __name__ == "__main__":
    main()
