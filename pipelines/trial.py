"""Counts what a filter policy does to traces and what it would change, with examples of traces on either side."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tracemill.core.types import Drop, Item
from tracemill.filters.privacy import masked_text, told_of_masked

KEPT = ("", "kept")
"""In place of filter and reason."""
Why = tuple[str, str]
"""Filter and reason."""


@dataclass(frozen=True, slots=True)
class Example:
    """One trace that a person should see."""

    id: str
    detail: str
    """What the filter said."""
    text: str


@dataclass(slots=True)
class Trial:
    """Fill it with `add`, trace by trace."""

    examples: int = 3
    """Traces of each kind that are shown, chosen evenly among all of the kind."""
    traces: int = 0
    reasons: Counter[Why] = field(default_factory=Counter)
    """Dropped traces by filter and reason."""
    changes: Counter[tuple[Why, Why]] = field(default_factory=Counter)
    """What the policy before said and what this one says, where one keeps what the other drops."""
    shown: dict[tuple[Why, Why], list[Example]] = field(default_factory=dict)
    """By the same; where there was no policy before, of all."""
    _seen: Counter[tuple[Why, Why]] = field(default_factory=Counter)
    _dice: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def kept(self) -> int:
        """Traces that the policy keeps."""
        return self.traces - self.reasons.total()

    def add(self, name: str, item: Item | None, drop: Drop | None, before: Mapping[str, Drop] | None = None) -> None:
        """Count one more. `before` are the drops of another policy; `item` is None where it could not be read."""
        self.traces += 1
        now, was = _why(drop), KEPT if before is None else _why(before.get(name))
        was = now if item is None and before is not None else was
        if drop is not None:
            self.reasons[now] += 1
        if before is not None and (was == KEPT) != (now == KEPT):
            self.changes[was, now] += 1
        elif before is not None:
            return
        told = before.get(name) if drop is None and before else drop
        if (at := self._place((was, now))) < self.examples:
            detail, text = told.detail if told else "", ""
            if item is not None:
                text = masked_text(item.trace.reasoning, item.prompt)
                detail = told_of_masked(told).detail if told and text != item.trace.reasoning else detail
            self.shown.setdefault((was, now), [])[at : at + 1] = [Example(name, detail, text)]

    def _place(self, kind: tuple[Why, Why]) -> int:
        """Where a trace of the kind is shown, if that is less than `examples`: each with the same probability."""
        self._seen[kind] += 1
        seen = self._seen[kind]
        return seen - 1 if seen <= self.examples else self._dice.randrange(seen)


def _why(drop: Drop | None) -> Why:
    return KEPT if drop is None else (drop.filter, drop.reason)
