"""Drops the traces of prompts that a model solves too often or too seldom to learn from.

The pass rate is that of one prompt and one model: of the model's samples of the prompt that were judged, the share that
is correct. Malformed samples count as wrong, undecided ones not at all. In a job the verdicts are the job's own; over
files a column says which traces are correct. The field's windows: open-r1 0.1 to 0.9 (in its example 0.1 to 0.6), s1
drops what a 7B or 32B model solves, LIMO keeps 1 to 3 of 32 (`docs/how-to/sift.md`). The default drops nothing, for no
window is right for all: with too few samples a rate says little, which is what `min_decided` is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import SieveExample
from tracemill.core.types import Drop, Item


@dataclass(frozen=True, slots=True)
class Difficulty:
    """The window of pass rates, 0 to 1, whose traces are kept; both ends are inside."""

    min_rate: float = 0.0
    max_rate: float = 1.0
    min_decided: int = 1
    """Judged samples from which a rate counts; traces of a prompt with fewer are kept."""

    name: ClassVar[str] = "difficulty"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if not 0 <= self.min_rate <= self.max_rate <= 1:
            raise InputError(f"min_rate: [{self.min_rate}, {self.max_rate}] is no window; give 0 ≤ min ≤ max ≤ 1")
        if self.min_decided < 1:
            raise InputError(f"min_decided: must be at least 1, got {self.min_decided}")

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops `too_hard` or `too_easy` with `<correct> of <decided> correct` as detail. Raises InputError where the
        items come without a rate."""
        for item in items:
            if item.rate is None:
                raise InputError("difficulty: nothing says which traces are correct; name a column (correct=…)")
            correct, decided = item.rate.correct, item.rate.decided
            if decided < self.min_decided:
                continue
            rate = correct / decided
            if not self.min_rate <= rate <= self.max_rate:
                reason = "too_hard" if rate < self.min_rate else "too_easy"
                yield Drop(item.trace.id, self.name, self.version, reason, f"{correct} of {decided} correct")


plugin = Difficulty()
EXAMPLES = (
    SieveExample([("p", "Right.", "42"), ("p", "Wrong.", "41")], (), "right: no window, nothing falls"),
    SieveExample(
        [("p", "Right.", "42"), ("p", "Right too.", "42"), ("q", "Wrong.", "41")], (0, 1, 2),
        "wrong: solved always, and never", {"min_rate": 0.1, "max_rate": 0.9},
    ),
    SieveExample([("p", "Right.", "42")], (), "adversarial: one sample", {"max_rate": 0.9, "min_decided": 2}),
)  # fmt: skip
