"""Prompts that a strategy gave up without success are tried again under variants; what varies is up to the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from tracemill.core.errors import InputError
from tracemill.core.types import Outcome
from tracemill.factory.strategies.strategy import Draw, Result, Strategy

_UNTRIED, _TRIED, _DONE = range(3)
"""Of each prompt: the engine made nothing of it (nothing was drawn, or it refused); made, with no correct sample so
far; correct, or handed over to the variants."""


class Retry:
    """Another strategy, and for each prompt that it settles without a correct sample the variants 1, 2, … in turn.

    A variant's samples are drawn together; the next variant follows where none of them was correct. A prompt with
    nothing but UNDECIDED samples is tried again too; one of which the inner strategy drew nothing (its budget was
    spent) is not. A prompt that the engine refused whenever it was drawn is tried only with the variants that ask
    something else. Variants' samples count in no adaptive strategy's budget and teach it nothing.
    """

    def __init__(
        self, inner: Strategy, tasks: int, first: int, samples: Sequence[int], reworded: Collection[int] = ()
    ) -> None:
        """`first`: number of a prompt's first retry sample, no less than the most samples that `inner` draws of one
        prompt; `samples`: of variant 1, 2, …; `reworded`: numbers of the variants that change the prompt's text."""
        for at, count in enumerate(samples):
            if count < 1:
                raise InputError(f"generate.retry[{at}].samples: {count} tries nothing; give 1 or more")
        self.lookahead = inner.lookahead
        self._inner = inner
        self._samples = tuple(samples)
        self._reworded = frozenset(reworded)
        self._first = tuple(first + sum(samples[:at]) for at in range(len(samples)))
        self._states = bytearray(tasks)
        self._waiting: deque[tuple[int, int]] = deque()
        """Prompts whose next variant is to be drawn, with its number."""
        self._drawing: Iterator[Draw] = iter(())
        self._open: dict[int, tuple[int, bool]] = {}
        """Prompts whose variant is out: results still to be told, and whether one so far was correct."""
        self._inner_out = 0
        self._is_swept = not samples

    @property
    def open_prompts(self) -> int:
        """Those of the inner strategy and of the variants. While the inner one still draws, failed prompts that it
        dropped without a word may be missing."""
        failed = 0 if self._is_swept else self._states.count(_TRIED)
        return max(self._inner.open_prompts, failed) + len(self._waiting) + len(self._open)

    def next(self) -> Draw | None:
        """What the inner strategy draws; where it draws nothing for now, a retry."""
        draw = self._inner.next()
        if draw is not None:
            self._inner_out += 1
            return draw
        if not self._inner_out and not self._is_swept:  # the inner one is done, also with what it never settled by name
            self._is_swept = True
            for task, state in enumerate(self._states):
                if state == _TRIED:
                    self._hand_over(task, 0)
        return next(self._drawing, None) or self._start()

    def tell(self, draw: Draw, result: Result) -> bool:
        """True where neither the inner strategy nor a variant will draw more of this prompt."""
        is_correct = result.outcome is Outcome.CORRECT
        if draw.variant:
            return self._tell_variant(draw, is_correct)
        self._inner_out -= 1
        if is_correct:
            self._states[draw.task] = _DONE
        elif result.outcome is not None and self._states[draw.task] == _UNTRIED:
            self._states[draw.task] = _TRIED
        if not self._inner.tell(draw, result):
            return False
        return self._states[draw.task] == _DONE or not self._hand_over(draw.task, 0)

    def _tell_variant(self, draw: Draw, is_correct: bool) -> bool:
        left, was_correct = self._open.pop(draw.task)
        is_correct = is_correct or was_correct
        if left > 1:
            self._open[draw.task] = (left - 1, is_correct)
            return False
        return is_correct or not self._hand_over(draw.task, draw.variant)

    def _hand_over(self, task: int, variant: int) -> bool:
        """The next variant after this one that makes sense will be drawn; False where there is none."""
        is_refused = self._states[task] == _UNTRIED
        for later in range(variant + 1, len(self._samples) + 1):
            if later in self._reworded or not is_refused:
                if not is_refused:
                    self._states[task] = _DONE
                self._waiting.append((task, later))
                return True
        return False

    def _start(self) -> Draw | None:
        if not self._waiting:
            return None
        task, variant = self._waiting.popleft()
        first, count = self._first[variant - 1], self._samples[variant - 1]
        self._open[task] = (count, False)
        self._drawing = (Draw(task, sample, variant) for sample in range(first, first + count))
        return next(self._drawing)
