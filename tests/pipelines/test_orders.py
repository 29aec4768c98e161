"""Orders by state: what each comes to where nobody runs the job, where somebody does, and where that one was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tracemill.core.errors import Conflict
from tracemill.core.settings import Settings, settings
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order, Runner
from tracemill.pipelines.orders import DIED, described, give, seen, submit
from tracemill.pipelines.plan import Plan

Sums = Callable[..., Plan]
S, Do = JobState, Order


@pytest.fixture
def store() -> JobStore:
    return JobStore(settings().jobs_url)


def job_in(state: JobState, plan: Plan, store: JobStore, runner: Runner = "command") -> Job:
    """A job in that state, as a run leaves it."""
    store.submit(plan.job_id, plan.recipe, runner)
    if state is not S.QUEUED:
        store.start(plan.job_id, plan.recipe, runner, str(settings().corpus))
    if state not in (S.QUEUED, S.RUNNING):
        store.end(plan.job_id, state)
    return now(plan, store)


def now(plan: Plan, store: JobStore) -> Job:
    job = store.get(plan.job_id)
    assert job is not None
    return job


@contextmanager
def somebody_runs(plan: Plan, here: Settings) -> Iterator[None]:
    with Ledger.open(Corpus.open(here.corpus), plan.job_id):
        yield


@pytest.mark.parametrize(
    ("order", "state", "becomes", "requested", "is_to_run"),
    [
        (Do.PAUSE, S.QUEUED, S.PAUSED, None, False),
        (Do.PAUSE, S.PAUSED, S.PAUSED, None, False),
        (Do.CANCEL, S.QUEUED, S.CANCELLED, None, False),
        (Do.CANCEL, S.PAUSED, S.CANCELLED, None, False),
        (Do.CANCEL, S.STOPPED, S.CANCELLED, None, False),
        (Do.CANCEL, S.FAILED, S.CANCELLED, None, False),
        (Do.CANCEL, S.CANCELLED, S.CANCELLED, None, False),
        (Do.RESUME, S.QUEUED, S.QUEUED, None, False),
        (Do.RESUME, S.PAUSED, S.QUEUED, None, True),
        (Do.RESUME, S.STOPPED, S.QUEUED, None, True),
        (Do.RESUME, S.FAILED, S.QUEUED, None, True),
        (Do.HARVEST, S.QUEUED, S.QUEUED, Do.HARVEST, False),
        (Do.HARVEST, S.PAUSED, S.QUEUED, Do.HARVEST, True),
        (Do.HARVEST, S.STOPPED, S.QUEUED, Do.HARVEST, True),
        (Do.HARVEST, S.FAILED, S.QUEUED, Do.HARVEST, True),
        (Do.HARVEST, S.CANCELLED, S.QUEUED, Do.HARVEST, True),
    ],
)
def test_an_order_to_a_job_that_nobody_runs(
    sums: Sums, store: JobStore, order: Order, state: JobState, becomes: JobState, requested: Order, is_to_run: bool
) -> None:
    plan = sums()
    given = give(order, job_in(state, plan, store), "service", settings(), store)
    assert (given.job.state, given.job.requested, given.is_to_run) == (becomes, requested, is_to_run)
    assert given.job == now(plan, store)
    again = give(order, now(plan, store), "service", settings(), store)
    assert (again.job.state, again.job.requested, again.is_to_run) == (becomes, requested, False), "given twice"


@pytest.mark.parametrize(
    ("order", "state", "message"),
    [
        (
            Do.PAUSE,
            S.FINISHED,
            "is finished: it cannot pause, nothing is left to do; run or submitted again, it goes on",
        ),
        (
            Do.RESUME,
            S.FINISHED,
            "is finished: it cannot resume, nothing is left to do; run or submitted again, it goes on",
        ),
        (Do.HARVEST, S.FINISHED, "is finished: it cannot harvest, nothing is left to do"),
        (Do.CANCEL, S.FINISHED, "is finished: it cannot cancel, nothing is left to do"),
        (Do.PAUSE, S.STOPPED, r"is stopped: it cannot pause, it can resume, cancel, harvest$"),
        (Do.PAUSE, S.CANCELLED, "is cancelled: it cannot pause, it can harvest; run or submitted again, it goes on"),
        (Do.RESUME, S.CANCELLED, "is cancelled: it cannot resume, it can harvest; run or submitted again, it goes on"),
    ],
)
def test_an_order_that_a_state_forbids_says_what_it_takes(
    sums: Sums, store: JobStore, order: Order, state: JobState, message: str
) -> None:
    plan = sums()
    job = job_in(state, plan, store)
    with pytest.raises(Conflict, match=rf"^job sums \({plan.job_id[:8]}\) {message}"):
        give(order, job, "service", settings(), store)
    assert now(plan, store) == job


def test_a_running_job_is_asked_and_the_last_order_counts_but_nothing_takes_back_a_cancellation(
    sums: Sums, store: JobStore
) -> None:
    plan = sums()
    job_in(S.RUNNING, plan, store)

    def asked(order: Order) -> tuple[JobState, Order | None, bool]:
        given = give(order, now(plan, store), "command", settings(), store)
        return given.job.state, given.job.requested, given.is_to_run

    with somebody_runs(plan, settings()):
        assert asked(Do.PAUSE) == (S.RUNNING, Do.PAUSE, False)
        assert asked(Do.RESUME) == (S.RUNNING, None, False), "a pause is taken back"
        assert asked(Do.RESUME) == (S.RUNNING, None, False)
        assert asked(Do.HARVEST) == (S.RUNNING, Do.HARVEST, False)
        assert described(now(plan, store)) == "running, asked to harvest"
        with pytest.raises(Conflict, match=r"asked to harvest: it cannot resume, it can pause, cancel, harvest$"):
            asked(Do.RESUME)
        assert asked(Do.CANCEL) == asked(Do.CANCEL) == (S.RUNNING, Do.CANCEL, False)
        for order in (Do.PAUSE, Do.RESUME, Do.HARVEST):
            with pytest.raises(Conflict, match=f"asked to cancel: it cannot {order}, it can cancel$"):
                asked(order)


@pytest.mark.parametrize(
    ("order", "becomes", "is_to_run"),
    [
        (Do.CANCEL, S.CANCELLED, False),
        (Do.RESUME, S.QUEUED, True),
        (Do.HARVEST, S.QUEUED, True),
    ],
)
def test_a_job_whose_process_was_killed_is_shown_as_stopped_and_takes_the_orders_of_one(
    sums: Sums, store: JobStore, order: Order, becomes: JobState, is_to_run: bool
) -> None:
    plan = sums()
    job = job_in(S.RUNNING, plan, store)
    assert seen(job, settings()).state is S.RUNNING, "there is no ledger here: it may run on another machine"
    with somebody_runs(plan, settings()):
        assert seen(job, settings()) == job
        assert store.request(job, Do.PAUSE)
    job = now(plan, store)
    assert (seen(job, settings()).state, seen(job, settings()).error) == (S.STOPPED, DIED)
    assert described(seen(job, settings())) == "stopped (its process died)"
    with pytest.raises(Conflict, match=r"is stopped \(its process died\): it cannot pause"):
        give(Do.PAUSE, job, "command", settings(), store)
    given = give(order, job, "command", settings(), store)
    assert (given.job.state, given.is_to_run) == (becomes, is_to_run)


def test_a_harvested_job_can_be_resumed_and_harvested_twice(sums: Sums, store: JobStore) -> None:
    plan = sums()
    job_in(S.RUNNING, plan, store)
    store.end(plan.job_id, S.FINISHED, harvested=True)
    again = give(Do.HARVEST, now(plan, store), "service", settings(), store)
    assert (again.job.state, again.job.harvested, again.is_to_run) == (S.FINISHED, True, False)
    with pytest.raises(Conflict, match=r"is finished \(harvested\): it cannot cancel, it can resume$"):
        give(Do.CANCEL, now(plan, store), "service", settings(), store)
    given = give(Do.RESUME, now(plan, store), "service", settings(), store)
    assert (given.job.state, given.job.harvested, given.is_to_run) == (S.QUEUED, False, True)


def test_a_command_takes_over_what_a_command_left_queued_but_nothing_of_the_service(
    sums: Sums, store: JobStore
) -> None:
    plan = sums()
    job = job_in(S.QUEUED, plan, store, "command")
    assert give(Do.RESUME, job, "command", settings(), store).is_to_run
    assert submit(plan.job_id, plan.recipe, "command", settings(), store).is_to_run
    assert not submit(plan.job_id, plan.recipe, "service", settings(), store).is_to_run
    store.requeue(plan.job_id, "service", [S.QUEUED])
    assert not give(Do.RESUME, now(plan, store), "command", settings(), store).is_to_run
    assert not submit(plan.job_id, plan.recipe, "command", settings(), store).is_to_run


def test_submitting_takes_over_a_job_whose_process_was_killed(sums: Sums, store: JobStore) -> None:
    plan = sums()
    job_in(S.RUNNING, plan, store)
    with somebody_runs(plan, settings()):
        assert not submit(plan.job_id, plan.recipe, "command", settings(), store).is_to_run
        store.request(now(plan, store), Do.PAUSE)
    given = submit(plan.job_id, plan.recipe, "command", settings(), store)
    assert (given.job.state, given.job.requested, given.is_to_run) == (S.QUEUED, None, True)


def test_an_order_is_given_to_the_job_as_it_is_by_then(sums: Sums, store: JobStore) -> None:
    plan = sums()
    seen_queued = job_in(S.QUEUED, plan, store)
    job_in(S.RUNNING, plan, store)
    with somebody_runs(plan, settings()):
        given = give(Do.PAUSE, seen_queued, "service", settings(), store)
    assert (given.job.state, given.job.requested) == (S.RUNNING, Do.PAUSE)
