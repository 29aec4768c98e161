"""Whom the adaptive strategy favours, against `fixed` n = 8, and what its stopping does to selection's pass rates.

Data and replay as in bench/adaptive.py (recorded completions of reasoning-gym tasks, tokens as characters / 4, the half
of the questions that no constant was chosen on). The true rate of a prompt is that of all its 13 samples; hard is a
rate of at most 1/4, easy of 3/4 or more. Runs go to their own end, as a recipe's do, with results told as late as the
lookahead allows (`pipelines.draws`). Ends with one line of JSON: the covered prompts' mean true rate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from labelled import need_data
from numpy.typing import NDArray
from recorded.jobs import RECORDED, SAMPLES, Job, read, shuffled

from tracemill.factory.strategies.adaptive import Adaptive
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.pipelines.draws import Draws

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
        result, right = self.job.result(draw), bool(self.job.right[draw.task, draw.sample])
        self.drawn[draw.task] += 1
        self._right[draw.task] += right
        self.spent.append(result.tokens + (self.spent[-1] if self.spent else 0))
        is_new = right and self._right[draw.task] == self.wanted
        self.covered.append(is_new + (self.covered[-1] if self.covered else 0))
        return result


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
    need_data()
    whole = read()
    jobs = [shuffled(whole, 1, seed) for seed in range(1 if quick else 3)]
    rates = whole_runs(jobs, 1)
    if not quick:
        whole_runs(jobs, 2)
        pass_rates(jobs)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
