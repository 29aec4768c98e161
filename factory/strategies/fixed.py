"""Every prompt gets its number of samples, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from tracemill.factory.strategies.strategy import Draw, Result


class Fixed:
    """Samples of one prompt together (they share the engine's prefix cache), prompts in their order.

    Keeps nothing but the limits and a count for each prompt that is in progress.
    """

    lookahead: int | None = None

    def __init__(self, limits: Sequence[int]) -> None:
        """`limits`: samples of each prompt."""
        self._limits = limits
        self._task = 0
        self._sample = 0
        self._told: dict[int, int] = {}
        self._open = sum(map(bool, limits))

    @property
    def open_prompts(self) -> int:
        """Those of which a result is still to be told."""
        return self._open

    def next(self) -> Draw | None:
        """The next sample of the current prompt, or the first one of the next."""
        while self._task < len(self._limits):
            if self._sample < self._limits[self._task]:
                self._sample += 1
                return Draw(self._task, self._sample - 1)
            self._task, self._sample = self._task + 1, 0
        return None

    def tell(self, draw: Draw, result: Result) -> bool:
        """True with the last result of a prompt."""
        told = self._told.pop(draw.task, 0) + 1
        if told == self._limits[draw.task]:
            self._open -= 1
            return True
        self._told[draw.task] = told
        return False
