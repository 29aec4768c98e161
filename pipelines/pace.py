"""How long what is left will take, with an interval: from how unevenly it has gone so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BLOCKS = 32
"""Blocks of time that are remembered; when they are full, neighbours are merged and blocks become twice as long."""
ENOUGH = 4
"""Blocks from which something can be said."""
STANDARD_ERRORS = 2.0
"""Of the predicted speed on either side: about 95 %."""


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds to the end."""

    low: float
    expected: float
    high: float
    """Infinite where the speed varies so much that nothing can be said."""


@dataclass
class Pace:
    """Counts what is done, by blocks of equal length."""

    seconds: float = 1.0
    """Length of a block."""
    _done: list[int] = field(default_factory=lambda: [0])
    _ends: float = 0.0

    def add(self, at: float, count: int) -> None:
        """`count` more were done by the time `at`, in seconds since the start; times must not go back.

        The time before the first is not counted: until what engines decode at once is finished, nothing is.
        """
        if not self._ends:
            self._ends = at + self.seconds
            return
        while at >= self._ends:
            if len(self._done) == BLOCKS:
                self._done = [one + other for one, other in zip(self._done[::2], self._done[1::2], strict=True)]
                self.seconds *= 2
            self._done.append(0)
            self._ends += self.seconds
        self._done[-1] += count

    def eta(self, left: float) -> Eta | None:
        """Time for `left` more; None while too little is known.

        The speed of the time to come is predicted with the variance of its own blocks and that of the mean so far.
        """
        whole = self._done[:-1]
        if left <= 0:
            return Eta(0.0, 0.0, 0.0)
        if len(whole) < ENOUGH or not sum(whole):
            return None
        mean = sum(whole) / len(whole)
        spread = math.sqrt(sum((one - mean) ** 2 for one in whole) / (len(whole) - 1))
        to_come = max(1.0, left / mean)
        error = STANDARD_ERRORS * spread * math.sqrt(1 / len(whole) + 1 / to_come)
        slow = mean - error
        times = (left / speed * self.seconds if speed > 0 else math.inf for speed in (mean + error, mean, slow))
        return Eta(*times)
