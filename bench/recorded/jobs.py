"""The recorded completions of `labelled/reasoning_gym_completions` as jobs: 13 samples a question, scored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from labelled import rows
from numpy.typing import NDArray

from tracemill.core.types import Outcome
from tracemill.factory.strategies.strategy import Draw, Result

RECORDED = 13
SAMPLES = 8
"""Samples a prompt of the `fixed` run that the figures compare with."""


@dataclass(frozen=True, slots=True)
class Job:
    """Recorded samples in the order in which they are drawn: prompts by samples."""

    right: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    groups: list[int]

    def result(self, draw: Draw) -> Result:
        is_right = bool(self.right[draw.task, draw.sample])
        return Result(Outcome.CORRECT if is_right else Outcome.WRONG, int(self.tokens[draw.task, draw.sample]))

    def covered(self, samples: int, wanted: int) -> int:
        """Prompts with so many correct among the first `samples`."""
        return int((self.right[:, :samples].sum(1) >= wanted).sum())

    def cost(self, samples: int) -> int:
        return int(self.tokens[:, :samples].sum())

    def without_groups(self) -> Job:
        return replace(self, groups=[0] * len(self.groups))


def read() -> Job:
    """All questions with 13 completions, in the file's order."""
    found: dict[tuple[str, str], list[tuple[bool, int]]] = {}
    for row in rows("labelled/reasoning_gym_completions"):
        found.setdefault((row["task"], row["question"]), []).extend(
            ((one["score"] or 0) >= 1, max(1, len(one["text"] or "") // 4)) for one in row["completions"]
        )
    whole = {key: samples for key, samples in found.items() if len(samples) == RECORDED}
    families = {task: at for at, task in enumerate(sorted({task for task, _ in whole}))}
    samples = np.array(list(whole.values()))
    return Job(samples[:, :, 0] == 1, samples[:, :, 1], [families[task] for task, _ in whole])


def shuffled(job: Job, half: int, seed: int) -> Job:
    """Every second question, in a seeded order, each with its samples in a seeded order."""
    dice = np.random.default_rng(seed)
    questions = dice.permutation(np.arange(half, len(job.groups), 2))
    order = dice.permuted(np.tile(np.arange(RECORDED), (len(questions), 1)), axis=1)
    right = np.take_along_axis(job.right[questions], order, 1)
    tokens = np.take_along_axis(job.tokens[questions], order, 1)
    return Job(right, tokens, [job.groups[at] for at in questions])
