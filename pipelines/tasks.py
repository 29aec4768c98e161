"""The prompts of a job, by place. Their texts lie in a temporary file, so that a prompt costs some 30 bytes of memory.

The file has no name: it is gone when the process ends, however it ends.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from tracemill.core.spool import Spool
from tracemill.core.types import Prompt
from tracemill.factory.thinking import ThinkFormat

_FIELDS = Prompt.__slots__
"""Kept as a list of values: a frozen dataclass with slots takes three times as long to unpickle."""


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt of the job with the format that it is asked in."""

    prompt: Prompt
    thinking: ThinkFormat


class Tasks(Sequence[Task]):
    """Tasks in the order in which they were added; of prompts with the same id the first one stays."""

    def __init__(self, group_by: Sequence[str] = ()) -> None:
        self._spool = Spool()
        self._ends = array("Q")
        self._ids = bytearray()
        self._formats: list[ThinkFormat] = []
        self._format_of = array("H")
        self._known: set[bytes] = set()
        self.group_of = array("L")
        """Number of the kind of each prompt: those with the same source, domain and `group_by` columns."""
        self.columns: set[str] = set()
        """Names of the prompts' metadata."""
        self._group_by = group_by
        self._groups: dict[tuple[str, ...], int] = {}
        self.verifiers: set[str] = set()
        """Names of the prompts' own verifiers."""

    def add(self, prompt: Prompt, thinking: ThinkFormat) -> bool:
        """Whether it is new."""
        key = bytes.fromhex(prompt.id)
        if key in self._known:
            return False
        self._known.add(key)
        self._ids += key
        self._spool.write(pickle.dumps([getattr(prompt, name) for name in _FIELDS]))
        self._ends.append(self._spool.size)
        if not self._formats or self._formats[-1] is not thinking:
            self._formats.append(thinking)
        self._format_of.append(len(self._formats) - 1)
        kind = (prompt.source, prompt.domain, *(str(prompt.metadata.get(column)) for column in self._group_by))
        self.group_of.append(self._groups.setdefault(kind, len(self._groups)))
        self.columns.update(prompt.metadata)
        self.verifiers.add(prompt.verifier)
        return True

    def seal(self) -> None:
        """No more are added."""
        self._spool.seal()
        self._known.clear()

    def without(self, ids: Collection[str]) -> Tasks:
        """The same, sealed, but for these prompts."""
        left = Tasks(self._group_by)
        for task in self:
            if task.prompt.id not in ids:
                left.add(task.prompt, task.thinking)
        left.seal()
        return left

    def id(self, place: int) -> str:
        """The id of the prompt at that place, without reading it."""
        return self._ids[16 * place : 16 * (place + 1)].hex()

    def ids(self) -> Iterator[str]:
        """The ids of all prompts, in order."""
        return map(self.id, range(len(self)))

    def prompts(self) -> Iterator[Prompt]:
        """All prompts, in order, read one at a time."""
        return (task.prompt for task in self)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> list[Task]: ...
    def __getitem__(self, place: int | slice) -> Task | list[Task]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        start = self._ends[place - 1] if place else 0
        values = pickle.loads(self._spool.read(start, self._ends[place]))
        return Task(Prompt(*values), self._formats[self._format_of[place]])
