"""Sifts the correct traces of a job, and makes the drops those that stand in the corpus."""

from __future__ import annotations

from functools import partial

from tracemill.core.settings import Settings
from tracemill.core.types import Drop, Item, Sieve
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row, item_of
from tracemill.filters.near_duplicates import NearDuplicates
from tracemill.pipelines.earlier import AgainstEarlier
from tracemill.pipelines.policy import Policy
from tracemill.pipelines.sifting import Look, Traces, drops_of


def sift(
    job_id: str, policy: Policy, corpus: Corpus, settings: Settings, look: Look = lambda stage, count: None
) -> None:
    """Make the drops of the job's correct traces under the policy those that stand. Only who runs the job calls it."""
    corpus.set_drops(job_id, policy.id, job_drops(job_id, policy, corpus, settings, look))


def job_drops(
    job_id: str,
    policy: Policy,
    corpus: Corpus,
    settings: Settings,
    look: Look = lambda stage, count: None,
    workers: int | None = None,
) -> dict[str, Drop]:
    """The drops of the job's correct traces under the policy, on the settings' Ray cluster if they name one.

    Stores nothing. `workers`: see `pipelines.spread`.
    """
    traces = Traces(partial(corpus.accepted_rows, job_id), _item)
    sieves = [_bound(sieve, corpus, job_id, settings) for sieve in policy.sieves]
    return drops_of(traces, policy.filters, sieves, look, workers, settings.ray_address)


def _bound(sieve: Sieve, corpus: Corpus, job_id: str, settings: Settings) -> Sieve:
    if isinstance(sieve, NearDuplicates) and sieve.scope == "corpus":
        return AgainstEarlier(sieve, corpus, job_id, settings.cache)
    return sieve


def _item(row: Row) -> tuple[Item]:
    return (item_of(row),)
