"""What decides which sample is made next. A strategy knows no engine and no text: numbers and outcomes only.

It is a deterministic function of what it is told, and it is told the results in the order in which it asked for the
samples, whatever the order in which they finish. So the same outcomes give the same samples, with any number of
replicas, and a run that was killed goes on by being told again what is durable: a strategy stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tracemill.core.types import Outcome


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample to be made."""

    task: int
    """Place of its prompt in the job, from 0."""
    sample: int
    """Number of the sample within its prompt, from 0."""
    variant: int = 0
    """0 for plain samples; k for the k-th variant of `retry`."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a draw."""

    outcome: Outcome | None
    """CORRECT where all verifiers agree and the split found no fault; None where the engine refused the request, which
    is final: asking again gives the same answer (`RefusedRequest`)."""
    tokens: int = 0
    """Generated tokens."""


class Strategy(Protocol):
    """Decides what to draw. `tell` is called once for each draw, in the order of the draws."""

    @property
    def lookahead(self) -> int | None:
        """How many draws may be out before the oldest one's result is told; None: a result is told as soon as it is
        known, in any order, because no decision depends on another prompt's results."""

    @property
    def open_prompts(self) -> int:
        """Prompts that have a draw out or may get one; 0 where `next` draws nothing while nothing is out."""

    def next(self) -> Draw | None:
        """The next sample; None where nothing is to be drawn with what is known so far."""

    def tell(self, draw: Draw, result: Result) -> bool:
        """Take in a result. True where this prompt is settled: nothing more of it will be drawn.

        A prompt can also come to its end without this (a budget that is spent, a kind of prompt that turns out to be
        hopeless), which `open_prompts` knows; the job's end is a `next` that draws nothing while nothing is out.
        """
