"""Picks traces of a job to look at: kept ones and rejected ones, the same ones each time."""

from __future__ import annotations

from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql


def kept(corpus: Corpus, job_id: str, dataset: str, count: int) -> list[str]:
    """Ids of traces in the newest version of the data set that the job made."""
    return [row["trace_id"] for row in corpus.rows(named_sql("kept"), {"job": job_id, "name": dataset, "count": count})]


def rejected(corpus: Corpus, job_id: str, count: int) -> list[str]:
    """Ids of traces that are malformed or not correct, in an order that has nothing to do with what they say."""
    return [row["trace_id"] for row in corpus.rows(named_sql("rejected"), {"job": job_id, "count": count})]
