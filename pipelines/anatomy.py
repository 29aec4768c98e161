"""Measures the chains of a job by markers and stores the figures: all well-formed traces, kept or not, each once.

A trace that has the figures of this version already is not measured again, so a job that goes on, or was stopped, adds
what is missing. Figures of another version of the markers are left where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice

from tracemill.core.anatomy import MARKERS
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.filters.behaviours import VERSION, anatomy
from tracemill.pipelines.spread import spread

PART = 1024
"""Chains that a process takes at once: of 4.5 kB, 4.6 MB and a fifth of a second. A job of fewer starts no process."""


def measure(
    corpus: Corpus,
    job_id: str,
    look: Callable[[int], None] = lambda count: None,
    workers: int | None = None,
    address: str | None = None,
) -> int:
    """Store the figures that are missing; returns how many chains were measured. In memory are a few parts.

    `look` is told how many are measured; what it raises ends the work, and what is stored stays. `workers` and
    `address`: see `pipelines.spread`.
    """
    values = {"job": job_id, "labeller": MARKERS, "version": VERSION}
    parts = _parts(corpus.stream(named_sql("unmeasured"), values))
    rows = chain.from_iterable(_told(spread(partial(figures, job_id), parts, workers, address), look))
    return corpus.add_anatomy(job_id, MARKERS, VERSION, rows)


def figures(job_id: str, part: Sequence[tuple[str, str]]) -> list[Row]:
    """Rows of the table `anatomy` for chains with their traces' ids. Any process may call it."""
    created_at = tables.now()
    return [
        tables.anatomy_row(trace_id, job_id, MARKERS, VERSION, anatomy(reasoning), created_at)
        for trace_id, reasoning in part
    ]


def _parts(rows: Iterable[Row]) -> Iterator[list[tuple[str, str]]]:
    chains = ((row["id"], row["reasoning"]) for row in rows)
    while part := list(islice(chains, PART)):
        yield part


def _told(parts: Iterable[list[Row]], look: Callable[[int], None]) -> Iterator[list[Row]]:
    count = 0
    for part in parts:
        look(count := count + len(part))
        yield part
