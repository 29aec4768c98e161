"""Runs filters, then sieves, over traces, wherever they are read from. Deletes nothing and stores nothing.

Filters look at one trace and run on all cores, or on the nodes of a Ray cluster; sieves look at all that the filters
and the sieves before them left, in one process and one pass each. The first that refuses a trace counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

from tracemill.core.errors import TracemillError
from tracemill.core.types import BatchFilter, Drop, Filter, Item, Sieve
from tracemill.pipelines.spread import spread

Source = TypeVar("Source")
Look = Callable[[str, int], None]
"""Told what is looked at by whom: `filters` or a sieve's name, and how many traces so far."""

PART = 128
"""Traces that a process takes at once: of 4.5 kB, half a megabyte, some 50 ms of work."""


@dataclass(frozen=True, slots=True)
class Traces(Generic[Source]):
    """Traces that can be read as often as needed, in the same order each time, with ids of their own."""

    read: Callable[[], Iterable[Source]]
    """What they are read from: rows. Called for each pass."""
    items: Callable[[Source], Iterable[Item]]
    """Those of one row. Must be picklable: processes call it."""
    rated: Callable[[Item], Item] = lambda item: item
    """Adds what only sieves look at, in this process."""

    def __iter__(self) -> Iterator[Item]:
        return map(self.rated, chain.from_iterable(map(self.items, self.read())))


@dataclass(frozen=True, slots=True)
class Check(Generic[Source]):
    """The work of one process: how many traces there are in some rows, and the drops of those that a filter refuses."""

    items: Callable[[Source], Iterable[Item]]
    filters: tuple[Filter, ...]

    def __call__(self, rows: Sequence[Source]) -> tuple[int, list[Drop]]:
        left = items = list(chain.from_iterable(map(self.items, rows)))
        drops: list[Drop] = []
        for one in self.filters:  # filter by filter, so that its tables stay in the processor's caches: a fourth faster
            said = [*zip(left, _checked(one, left), strict=True)]
            drops += [drop for _, drop in said if drop is not None]
            left = [item for item, drop in said if drop is None]
        return len(items), drops


def drops_of(
    traces: Traces[Source],
    filters: tuple[Filter, ...],
    sieves: Sequence[Sieve],
    look: Look = lambda stage, count: None,
    workers: int | None = None,
    address: str | None = None,
) -> dict[str, Drop]:
    """The drops by trace id. Some 0.4 kB a dropped trace stay in memory, and what the sieves keep.

    `workers` processes, by default one a core; with `address` those of a Ray cluster. Raises what the plugins raise.
    """
    drops: dict[str, Drop] = {}
    if filters:
        seen = 0
        parts = spread(Check(traces.items, filters), _parts(traces.read()), workers, address)
        for count, found in parts:
            drops.update((drop.trace_id, drop) for drop in found)
            look("filters", seen := seen + count)
    for sieve in sieves:
        left = (item for item in traces if item.trace.id not in drops)
        found = list(sieve.sift(_counted(sieve.name, left, look)))
        drops.update((drop.trace_id, drop) for drop in found)
    return drops


def _checked(one: Filter, items: Sequence[Item]) -> list[Drop | None]:
    """Raises TracemillError naming the filter where it fails."""
    try:
        if isinstance(one, BatchFilter):
            return one.check_all(items)
        return [one.check(item.trace, item.prompt) for item in items]
    except TracemillError:
        raise
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        raise TracemillError(f"filter {one.name}: {line}; leave it out, or mend it") from error


def _parts(rows: Iterable[Source]) -> Iterator[list[Source]]:
    rest = iter(rows)
    while part := list(islice(rest, PART)):
        yield part


def _counted(name: str, items: Iterable[Item], look: Look) -> Iterator[Item]:
    for number, item in enumerate(items, 1):
        yield item
        if number % PART == 0:
            look(name, number)
