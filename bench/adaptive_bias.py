"""Whom the adaptive strategy favours, against `fixed` n = 8, and what its stopping does to selection's pass rates.

Data and replay as in bench/adaptive.py (recorded completions of reasoning-gym tasks, tokens as characters / 4, the half
of the questions that no constant was chosen on). The true rate of a prompt is that of all its 13 samples; hard is a
rate of at most 1/4, easy of 3/4 or more. Runs go to their own end, as a recipe's do, with results told as late as the
lookahead allows (`pipelines.draws`). Ends with one line of JSON: the covered prompts' mean true rate.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracemill.core.types import Outcome
from tracemill.factory.strategies.adaptive import Adaptive
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.pipelines.draws import Draws

BESIDE = Path(__file__).parents[2] / "shared" / "data"
RECORDED = 13
SAMPLES = 8
ALL = AdaptiveOptions(max_samples=RECORDED, hopeless=0.0, budget_tokens=10**12)
WINDOW = (0.1, 0.9)
HEADS = (
    "tokens / fixed",
    "covered / fixed",
    "mean true rate",
    "hard / fixed",
    "fixed's own lost",
    "easy prompts",
    "easy, all traces",
)
Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Job:
    """Recorded samples in the order in which they are drawn: prompts by samples."""

    right: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    groups: list[int]

    def cost(self, samples: int) -> int:
        return int(self.tokens[:, :samples].sum())


@dataclass
class Replay:
    """Answers draws from the record and counts them."""

    job: Job
    wanted: int
    drawn: NDArray[np.int64] = field(init=False)
    spent: list[int] = field(default_factory=list)
    """Tokens after each draw."""
    covered: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.drawn = np.zeros(len(self.job.groups), int)
        self._right = [0] * len(self.job.groups)

    def __call__(self, draw: Draw) -> Result:
        right, tokens = bool(self.job.right[draw.task, draw.sample]), int(self.job.tokens[draw.task, draw.sample])
        self.drawn[draw.task] += 1
        self._right[draw.task] += right
        self.spent.append(tokens + (self.spent[-1] if self.spent else 0))
        is_new = right and self._right[draw.task] == self.wanted
        self.covered.append(is_new + (self.covered[-1] if self.covered else 0))
        return Result(Outcome.CORRECT if right else Outcome.WRONG, tokens)


def read(folder: Path) -> Job:
    """Every second question of those with 13 completions."""
    found: dict[tuple[str, str], list[tuple[bool, int]]] = {}
    with gzip.open(folder / "labelled" / "reasoning_gym_completions.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            found.setdefault((row["task"], row["question"]), []).extend(
                ((one["score"] or 0) >= 1, max(1, len(one["text"] or "") // 4)) for one in row["completions"]
            )
    whole = [(task, samples) for (task, _), samples in found.items() if len(samples) == RECORDED][1::2]
    families = {task: at for at, task in enumerate(sorted({task for task, _ in whole}))}
    samples = np.array([samples for _, samples in whole])
    return Job(samples[:, :, 0] == 1, samples[:, :, 1], [families[task] for task, _ in whole])


def shuffled(job: Job, seed: int) -> Job:
    """Questions in a seeded order, each with its samples in a seeded order."""
    dice = np.random.default_rng(seed)
    questions = dice.permutation(len(job.groups))
    order = dice.permuted(np.tile(np.arange(RECORDED), (len(questions), 1)), axis=1)
    right = np.take_along_axis(job.right[questions], order, 1)
    tokens = np.take_along_axis(job.tokens[questions], order, 1)
    return Job(right, tokens, [job.groups[at] for at in questions])


def run(job: Job, options: AdaptiveOptions, window: Window = (0.0, 1.0)) -> Replay:
    record = Replay(job, options.correct)
    left = Draws(Adaptive(options, SAMPLES, job.groups, window=window), record).next()
    assert left is None, "every sample is at hand"
    return record


def show(name: str, columns: Sequence[Sequence[float]]) -> None:
    """A row of means over the seeds with their standard deviations."""
    print(f"{name:<32}" + "".join(f"{f'{np.mean(one):.3f} ± {np.std(one):.3f}':>18}" for one in columns))


def equal_coverage(job: Job, wanted: int) -> AdaptiveOptions:
    """The budget with which a run covers as many prompts as `fixed`."""
    whole = run(job, replace(ALL, correct=wanted))
    at = int(np.searchsorted(whole.covered, (job.right[:, :SAMPLES].sum(1) >= wanted).sum()))
    return replace(ALL, budget_tokens=whole.spent[at])


def whole_runs(jobs: Sequence[Job], wanted: int) -> dict[str, float]:
    """Cost, coverage and bias of some settings; the covered prompts' mean true rate by setting."""
    settings: dict[str, Callable[[Job], AdaptiveOptions | None]] = {
        "fixed": lambda job: None,
        "budget: same number covered": lambda job: equal_coverage(job, wanted),
        "budget: 40 % of fixed": lambda job: replace(ALL, budget_tokens=int(0.4 * job.cost(SAMPLES))),
        "budget: 20 % of fixed": lambda job: replace(ALL, budget_tokens=int(0.2 * job.cost(SAMPLES))),
        "defaults, max_samples 13": lambda job: AdaptiveOptions(max_samples=RECORDED),
        "the same, hopeless 0.02": lambda job: AdaptiveOptions(max_samples=RECORDED, hopeless=0.02),
        "the same, hopeless 0.1": lambda job: AdaptiveOptions(max_samples=RECORDED, hopeless=0.1),
        "hopeless 0, max_samples 13": lambda job: AdaptiveOptions(max_samples=RECORDED, hopeless=0.0),
        "max_samples 8": lambda job: AdaptiveOptions(max_samples=SAMPLES),
        "hopeless 0, max_samples 8": lambda job: AdaptiveOptions(max_samples=SAMPLES, hopeless=0.0),
    }
    print(f"\n{f'{wanted} correct wanted':<32}" + "".join(f"{head:>18}" for head in HEADS))
    found = {}
    for name, choose in settings.items():
        rows = []
        for job in jobs:
            options = choose(job)
            drawn = np.full(len(job.groups), SAMPLES)
            if options is not None:
                drawn = run(job, replace(options, correct=wanted)).drawn
            rows.append(favours(job, drawn, wanted))
        show(name, np.array(rows).T.tolist())
        found[name] = round(float(np.mean(rows, axis=0)[2]), 3)
    return found


def favours(job: Job, drawn: NDArray[np.int64], wanted: int) -> list[float]:
    """The columns of `HEADS`. `easy prompts` is their share of the covered ones, which is that of kept traces where
    each prompt keeps the same number; `easy, all traces` is their share of all correct traces."""
    own = np.arange(RECORDED)[None, :] < drawn[:, None]
    right = (job.right & own).sum(1)
    is_covered, plain = right >= wanted, job.right[:, :SAMPLES].sum(1) >= wanted
    rates = job.right.mean(1)
    is_hard, is_easy = rates <= 0.25, rates >= 0.75
    return [
        float((job.tokens * own).sum() / job.cost(SAMPLES)),
        float(is_covered.sum() / plain.sum()),
        float(rates[is_covered].mean()),
        float((is_covered & is_hard).sum() / (plain & is_hard).sum()),
        float((plain & ~is_covered).sum() / plain.sum()),
        float(is_easy[is_covered].mean()),
        float(right[is_covered & is_easy].sum() / right[is_covered].sum()),
    ]


def pass_rates(jobs: Sequence[Job]) -> None:
    """What selection's window keeps of prompts that were stopped early, and the remedy: the strategy knows it."""
    low, high = WINDOW
    heads = ("kept / fixed", "fixed's own kept", "true rate within", "tokens / fixed")
    print(f"\n{f'select.pass_rate [{low}, {high}]':<32}" + "".join(f"{head:>18}" for head in heads))
    eight, more = AdaptiveOptions(max_samples=SAMPLES, hopeless=0.0), AdaptiveOptions(max_samples=RECORDED)
    settings: dict[str, tuple[AdaptiveOptions | None, Window]] = {
        "fixed": (None, (0.0, 1.0)),
        "unknown, stops at 1 correct": (eight, (0.0, 1.0)),
        "unknown, stops at 2 correct": (replace(eight, correct=2), (0.0, 1.0)),
        "known, hopeless 0": (eight, WINDOW),
        "known, hopeless 0.05": (replace(eight, hopeless=0.05), WINDOW),
        "known, the same, max_samples 13": (more, WINDOW),
    }
    for name, (options, window) in settings.items():
        rows = []
        for job in jobs:
            drawn = np.full(len(job.groups), SAMPLES) if options is None else run(job, options, window).drawn
            own = np.arange(RECORDED)[None, :] < drawn[:, None]
            rate = (job.right & own).sum(1) / np.maximum(drawn, 1)
            plain, true = job.right[:, :SAMPLES].mean(1), job.right.mean(1)
            kept, usual = (rate >= low) & (rate <= high), (plain >= low) & (plain <= high)
            within = (true[kept] >= low) & (true[kept] <= high)
            tokens = (job.tokens * own).sum() / job.cost(SAMPLES)
            rows.append([kept.sum() / usual.sum(), (kept & usual).sum() / usual.sum(), within.mean(), tokens])
        show(name, np.array(rows).T.tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, one correct sample, as CI runs it")
    quick = parser.parse_args().quick
    folder = Path(os.environ.get("TRACEMILL_TEST_DATA", BESIDE))
    if not folder.is_dir():
        print(json.dumps({"skipped": f"no recorded completions at {folder} (set TRACEMILL_TEST_DATA)"}))
        return
    whole = read(folder)
    jobs = [shuffled(whole, seed) for seed in range(1 if quick else 3)]
    rates = whole_runs(jobs, 1)
    if not quick:
        whole_runs(jobs, 2)
        pass_rates(jobs)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
