"""Runs a plan's filters, then its sieves, over the correct traces of a job and stores the drops. Deletes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracemill.core.types import Drop, Filter, Item, Sieve
from tracemill.corpus.store import Corpus
from tracemill.pipelines.plan import Plan


def sift(plan: Plan, corpus: Corpus) -> int:
    """Store the drops under the plan's policy; the first filter that refuses a trace counts. Returns their number."""
    drops: dict[str, Drop] = {}
    for drop in filter_drops(plan.filters, corpus.accepted(plan.job_id)):
        drops[drop.trace_id] = drop
    for sieve in plan.sieves:
        left = (item for item in corpus.accepted(plan.job_id) if item.trace.id not in drops)
        for drop in sieve_drops(sieve, left):
            drops[drop.trace_id] = drop
    corpus.add_drops(plan.job_id, plan.policy, list(drops.values()))
    return len(drops)


def filter_drops(filters: Iterable[Filter], items: Iterable[Item]) -> Iterator[Drop]:
    """The first drop of each item that a filter refuses."""
    chain = tuple(filters)
    for item in items:
        for one in chain:
            drop = one.check(item.trace, item.prompt)
            if drop is not None:
                yield drop
                break


def sieve_drops(sieve: Sieve, items: Iterable[Item]) -> list[Drop]:
    """All drops of one sieve over the items."""
    return list(sieve.sift(items))
