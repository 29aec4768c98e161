"""Stands between a strategy, which decides in a fixed order, and samples, which finish in any.

A strategy with a lookahead is told the results in the order of its draws, at points that depend on nothing else: so
the same outcomes lead to the same samples, however many replicas make them and in whatever order they finish. Samples
that an earlier run made durable are told as if they had just finished, and are not made again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tracemill.factory.strategies.strategy import Draw, Result, Strategy

Known = Callable[[Draw], Result | None]
"""What became of a sample that is durable already; None for one that is to be made."""


@dataclass(slots=True)
class _Out:
    draw: Draw
    result: Result | None


class Draws:
    """The samples to be made. Not thread-safe."""

    def __init__(self, strategy: Strategy, known: Known) -> None:
        self._strategy = strategy
        self._known = known
        self._in_order: deque[_Out] = deque()
        self._entries: dict[Draw, _Out] = {}
        self._starved = False
        """The strategy draws nothing until it knows more."""
        self.out = 0
        """Draws handed out whose result has not come."""

    @property
    def open_prompts(self) -> int:
        """Prompts of which something is out or may be drawn, and those whose results are still to be told."""
        return self._strategy.open_prompts

    def next(self) -> Draw | None:
        """The next sample to be made; None where none is to be had before another result comes."""
        while True:
            if self._must_tell():
                if not self._tell_oldest():
                    return None
                continue
            draw = self._strategy.next()
            if draw is None:
                if self._strategy.lookahead is None or not self._in_order:
                    return None
                self._starved = True
                continue
            result = self._known(draw)
            if self._strategy.lookahead is None:
                if result is not None:
                    self._tell(draw, result)
                    continue
            else:
                entry = _Out(draw, result)
                self._in_order.append(entry)
                if result is not None:
                    continue
                self._entries[draw] = entry
            self.out += 1
            return draw

    def done(self, draw: Draw, result: Result) -> None:
        """A sample that was handed out has finished."""
        self.out -= 1
        if self._strategy.lookahead is None:
            self._tell(draw, result)
        else:
            self._entries.pop(draw).result = result

    def _must_tell(self) -> bool:
        lookahead = self._strategy.lookahead
        return lookahead is not None and (self._starved or len(self._in_order) >= lookahead)

    def _tell_oldest(self) -> bool:
        """Tell the oldest draw's result, if it has come."""
        result = self._in_order[0].result
        if result is None:
            return False
        self._tell(self._in_order.popleft().draw, result)
        self._starved = False
        return True

    def _tell(self, draw: Draw, result: Result) -> None:
        self._strategy.tell(draw, result)
