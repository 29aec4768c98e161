"""Picks traces of a job to look at: kept ones and rejected ones, the same ones each time."""

from __future__ import annotations

from dataclasses import dataclass

from tracemill.corpus.funnel import stand
from tracemill.corpus.selection import DatasetVersion
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql


@dataclass(frozen=True, slots=True)
class Rejected:
    """A trace that is not in the data set, with the stage of the funnel at which it fell and why."""

    trace_id: str
    stage: str
    reason: str
    """As in `corpus.funnel.Fallen`."""
    detail: str
    """What the filter that dropped it said beside; empty at other stages."""


def kept(corpus: Corpus, dataset: DatasetVersion, count: int) -> list[str]:
    """Ids of traces in the version of the data set."""
    values = {"name": dataset.name, "version": dataset.version, "count": count}
    return [row["trace_id"] for row in corpus.rows(named_sql("kept"), values)]


def rejected(corpus: Corpus, dataset: DatasetVersion, count: int) -> list[Rejected]:
    """Traces of the version's job that are not in it, spread over stages and reasons.

    Within a reason the order has nothing to do with what they say. Of version 0, which has no rows, those that its
    selection does not choose.
    """
    with corpus.connect() as connection:
        stand(connection, dataset.job_id, dataset.policy, dataset.selection)
        values = {
            "name": dataset.name, "version": dataset.version, "job": dataset.job_id, "policy": dataset.policy,
            "count": count,
        }  # fmt: skip
        return [Rejected(*row) for row in connection.execute(named_sql("rejected"), values).fetchall()]
