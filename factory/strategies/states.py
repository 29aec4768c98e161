"""Prompts in the same state are interchangeable: they wait in one queue, and a heap orders the queues.

So 100,000 prompts cost as many forecasts as there are states (some hundreds), and a draw costs no scan.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

NOBODY = -1


class Key(NamedTuple):
    """What decides over a prompt: all that is known of it."""

    group: int
    correct: int
    wrong: int
    drawn: int
    """Samples drawn: the correct and wrong ones, and those that nobody could judge."""
    limit: int
    """Samples that may be drawn at most."""


@dataclass(slots=True, eq=False)
class State:
    """All prompts with one key that wait for their next sample."""

    key: Key
    number: int
    """Order of creation: where two indices are equal, the older state goes first."""
    is_over: bool
    """Nothing is drawn of prompts in this state; nobody waits in it."""
    index: float = 0.0
    """Expected gain per expected token of one more sample; the greatest goes first."""
    chance: float = 1.0
    """Predictive probability that the goal is met within what the prompt may still get."""
    tokens: float = 1.0
    """Expected tokens of the next sample."""
    head: int = NOBODY
    tail: int = NOBODY
    waiting: int = 0


class Waiting:
    """The prompts that wait, by state; first in, first out within one."""

    def __init__(self, tasks: int) -> None:
        self._after = array("i", [NOBODY]) * tasks
        self._heap: list[tuple[float, int, State]] = []

    def put(self, task: int, state: State) -> None:
        """A prompt joins a state."""
        self._after[task] = NOBODY
        if state.waiting:
            self._after[state.tail] = task
        else:
            state.head = task
            heapq.heappush(self._heap, (-state.index, state.number, state))
        state.tail = task
        state.waiting += 1

    def best(self) -> State | None:
        """The state of the greatest index where somebody waits."""
        return self._heap[0][2] if self._heap else None

    def take(self) -> int:
        """The first prompt of the best state leaves it."""
        state = self._heap[0][2]
        task = state.head
        state.head = self._after[task]
        state.waiting -= 1
        if not state.waiting:
            heapq.heappop(self._heap)
        return task

    def drop(self) -> int:
        """All prompts of the best state leave for good; how many they were."""
        state = heapq.heappop(self._heap)[2]
        count, state.waiting = state.waiting, 0
        return count

    def order(self, states: Iterable[State]) -> None:
        """Indices have changed."""
        self._heap = [(-state.index, state.number, state) for state in states if state.waiting]
        heapq.heapify(self._heap)
