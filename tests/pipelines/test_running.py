"""A job under orders, in this process, with an engine that takes its time: what stands in the store and in the corpus."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

from tracemill.core.errors import Locked
from tracemill.core.settings import Settings, settings
from tracemill.core.types import Completion, Request
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.pipelines import running
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order, Runner
from tracemill.pipelines.orders import give, submit
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Watch
from tracemill.pipelines.running import Ending, run_stored

Sums = Callable[..., Plan]
S, Do = JobState, Order


@dataclass
class Gate:
    """While it is closed, the fake engine answers no more than so many requests."""

    is_closed: bool = False
    lets: int = 60
    passed: int = 0


gate = Gate()


@pytest.fixture(autouse=True)
def slow_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake engine takes 5 ms a sample, and waits at the gate; the store is looked at often."""
    answer = FakeEngine.complete

    async def complete(engine: FakeEngine, request: Request) -> Completion:
        await asyncio.sleep(0.005)
        gate.passed += 1
        while gate.is_closed and gate.passed > gate.lets:  # noqa: ASYNC110 - opened by other threads too
            await asyncio.sleep(0.01)
        return await answer(engine, request)

    gate.is_closed, gate.passed = False, 0
    monkeypatch.setattr(FakeEngine, "complete", complete)
    monkeypatch.setattr(running, "EVERY_S", 0.02)


@pytest.fixture
def store() -> JobStore:
    return JobStore(settings().jobs_url)


def now(plan: Plan, store: JobStore) -> Job:
    job = store.get(plan.job_id)
    assert job is not None
    return job


async def run(plan: Plan, store: JobStore, watch: Watch | None = None, runner: Runner = "command") -> Ending:
    submit(plan.job_id, plan.recipe, runner, settings(), store)
    return await run_stored(plan, settings(), watch or Watch(), store, runner)


async def ordered(plan: Plan, store: JobStore, *orders: Order, after: int = 30) -> Ending:
    """Run, and give these orders once so many samples are durable."""

    def on_progress(progress: Any) -> None:
        if progress.new >= after and not given:
            given.extend(give(order, now(plan, store), "command", settings(), store) for order in orders)

    given: list[Any] = []
    gate.is_closed = Do.RESUME not in orders
    try:
        return await run(plan, store, Watch(on_progress=on_progress))
    finally:
        gate.is_closed = False


def samples() -> list[str]:
    return [row["id"] for row in Corpus.open(settings().corpus).rows("SELECT id FROM traces", {})]


async def test_a_paused_job_keeps_what_is_durable_and_a_second_run_makes_the_rest(sums: Sums, store: JobStore) -> None:
    plan = sums()
    ending = await ordered(plan, store, Do.PAUSE)
    paused = now(plan, store)
    assert (ending.state, ending.result, paused.state, paused.requested) == (S.PAUSED, None, S.PAUSED, None)
    kept = samples()
    assert 30 <= len(kept) == paused.progress["durable"] == paused.totals.samples < 200
    given = give(Do.RESUME, paused, "command", settings(), store)
    assert given.is_to_run
    ending = await run_stored(plan, settings(), Watch(), store, "command")
    done = now(plan, store)
    assert (ending.state, done.state, done.harvested) == (S.FINISHED, S.FINISHED, False)
    assert set(kept) < set(samples())
    assert len(samples()) == len(set(samples())) == 200
    assert done.totals.samples == 200, "the figures of both runs"
    assert done.totals.completion_tokens == ending.result.funnel.completion_tokens if ending.result else False


@pytest.mark.parametrize("order", [Do.PAUSE, Do.CANCEL, Do.HARVEST])
async def test_who_reads_how_it_ended_reads_what_it_came_to(
    sums: Sums, store: JobStore, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    plan, end, set_progress = sums(), JobStore.end, JobStore.set_progress
    seen: list[tuple[JobState, int, int]] = []

    def read_at_once(jobs: JobStore, job_id: str, *args: Any, **kwargs: Any) -> bool:
        has_ended = end(jobs, job_id, *args, **kwargs)
        job = now(plan, store)
        if has_ended:
            seen.append((job.state, job.progress["durable"], job.totals.samples))
        return has_ended

    def write_late(jobs: JobStore, *args: Any) -> None:
        if current_thread() is not main_thread():
            time.sleep(0.05)
        set_progress(jobs, *args)

    monkeypatch.setattr(JobStore, "end", read_at_once)
    monkeypatch.setattr(JobStore, "set_progress", write_late)
    await ordered(plan, store, order)
    state, made = now(plan, store).state, len(samples())
    assert 30 <= made < 200
    assert seen == [(state, made, made)]
    assert now(plan, store).progress["durable"] == made, "nothing older is written afterwards"


async def test_a_cancelled_job_keeps_its_samples_and_selects_nothing(sums: Sums, store: JobStore) -> None:
    plan = sums()
    ending = await ordered(plan, store, Do.CANCEL)
    assert (ending.state, now(plan, store).state) == (S.CANCELLED, S.CANCELLED)
    assert 30 <= len(samples()) < 200
    assert Corpus.open(settings().corpus).rows("SELECT * FROM datasets", {}) == []
    ending = await run(plan, store)
    assert (ending.state, len(samples())) == (S.FINISHED, 200), "submitted again, it goes on"


async def test_a_harvested_job_selects_from_what_is_there_and_says_how_much_that_is(
    sums: Sums, store: JobStore
) -> None:
    plan = sums()
    ending = await ordered(plan, store, Do.HARVEST)
    job, result = now(plan, store), ending.result
    assert result is not None
    assert result.harvested
    assert (job.state, job.harvested, job.requested) == (S.FINISHED, True, None)
    assert 30 <= job.progress["durable"] == len(samples()) == result.funnel.generated < job.progress["total"] == 200
    assert result.dataset.rows == result.funnel.kept == job.progress["kept"] > 0
    assert result.progress is not None
    assert result.progress.new == len(samples())
    ending = await run(plan, store)
    job = now(plan, store)
    assert (job.state, job.harvested, len(samples())) == (S.FINISHED, False, 200)
    assert ending.result is not None
    assert ending.result.dataset.version == 2


async def test_a_paused_job_can_be_harvested_without_an_engine(sums: Sums, store: JobStore) -> None:
    plan = sums()
    await ordered(plan, store, Do.PAUSE)
    kept = samples()
    assert give(Do.HARVEST, now(plan, store), "service", settings(), store).is_to_run
    stages: list[str] = []
    ending = await run_stored(plan, settings(), Watch(on_stage=stages.append), store, "service")
    job = now(plan, store)
    assert stages == ["sifting", "selecting"]
    assert (job.state, job.harvested, sorted(samples())) == (S.FINISHED, True, sorted(kept))
    assert ending.result is not None
    assert ending.result.dataset.rows > 0


async def test_harvesting_a_job_that_has_all_its_samples_is_finishing_it(sums: Sums, store: JobStore) -> None:
    plan = sums()
    await run(plan, store)
    store.requeue(plan.job_id, "command", [S.FINISHED])
    ending = await run_stored(plan, settings(), Watch(), store, "command", harvest=True)
    assert ending.result is not None
    assert (ending.result.harvested, now(plan, store).harvested) == (False, False)


async def test_a_pause_that_is_taken_back_in_time_leaves_no_trace(sums: Sums, store: JobStore) -> None:
    plan = sums()
    ending = await ordered(plan, store, Do.PAUSE, Do.RESUME)
    assert (ending.state, len(samples()), now(plan, store).totals.samples) == (S.FINISHED, 200, 200)


async def test_a_pause_that_is_taken_back_while_the_run_stops_makes_it_go_on(
    sums: Sums, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, commit, stops = sums(), Ledger.commit, []

    def commit_slowly(ledger: Ledger) -> None:
        if now(plan, store).requested is Do.PAUSE:  # the run has stopped and is about to say so
            gate.is_closed = False
            stops.append(give(Do.RESUME, now(plan, store), "command", settings(), store))
        commit(ledger)

    monkeypatch.setattr(Ledger, "commit", commit_slowly)
    ending = await ordered(plan, store, Do.PAUSE)
    assert len(stops) == 1
    assert (ending.state, len(set(samples())), len(samples())) == (S.FINISHED, 200, 200)
    assert now(plan, store).totals.samples == 200


async def test_an_order_that_was_given_before_the_run_began_is_carried_out(sums: Sums, store: JobStore) -> None:
    plan = sums()
    for order, state in ((Do.PAUSE, S.PAUSED), (Do.CANCEL, S.CANCELLED)):
        store.submit(plan.job_id, plan.recipe, "service")
        store.start(plan.job_id, plan.recipe, "service", str(settings().corpus))
        assert store.request(now(plan, store), order)  # then its actor is killed, and Ray starts it again
        ending = await run_stored(plan, settings(), Watch(), store, "service")
        assert (ending.state, now(plan, store).state, samples()) == (state, state, [])


async def test_who_takes_a_live_run_for_dead_stops_it(sums: Sums, store: JobStore) -> None:
    plan = sums()

    def on_progress(progress: Any) -> None:
        store.move(plan.job_id, [S.RUNNING], S.CANCELLED)

    gate.is_closed = True
    ending = await run(plan, store, Watch(on_progress=on_progress))
    assert (ending.state, now(plan, store).state) == (S.CANCELLED, S.CANCELLED)
    assert 0 < len(samples()) < 200


async def test_a_run_that_is_leaving_is_waited_for_and_one_that_stays_is_not(sums: Sums, store: JobStore) -> None:
    plan = sums()
    ledger = Ledger.open(Corpus.open(settings().corpus), plan.job_id)
    asyncio.get_running_loop().call_later(0.3, ledger.close)
    assert (await run(plan, store)).state is S.FINISHED
    store.submit(plan.job_id, plan.recipe, "command")
    store.start(plan.job_id, plan.recipe, "command", str(settings().corpus))
    with Ledger.open(Corpus.open(settings().corpus), plan.job_id), pytest.raises(Locked):
        await run_stored(plan, settings(), Watch(), store, "command")
    assert now(plan, store).state is S.RUNNING, "the state is the other's to change"


async def stopped(work: Coroutine[Any, Any, Ending], started: asyncio.Event) -> None:
    task = asyncio.create_task(work)
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_signal_leaves_it_stopped_and_a_failure_failed(sums: Sums, store: JobStore, tmp_path: Path) -> None:
    plan, started, gate.is_closed = sums(), asyncio.Event(), True
    await stopped(run(plan, store, Watch(on_progress=lambda progress: started.set())), started)
    assert now(plan, store).state is S.STOPPED
    assert now(plan, store).progress["durable"] == len(samples()) > 0

    gate.is_closed = False

    def fail(stage: str) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run(plan, store, Watch(on_stage=fail))
    assert (now(plan, store).state, now(plan, store).error) == (S.FAILED, "ValueError: no")
    nowhere = Settings(corpus=Path("/proc/none"), jobs_url=settings().jobs_url)
    submit(plan.job_id, plan.recipe, "command", settings(), store)
    with pytest.raises(Exception, match="/proc/none"):
        await run_stored(plan, nowhere, Watch(), store, "command")
    assert now(plan, store).state is S.FAILED


async def test_a_jobs_store_that_is_away_for_a_while_holds_nothing_up(
    sums: Sums, store: JobStore, tmp_path: Path
) -> None:
    plan = sums()
    held: list[Any] = []
    lock = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, check_same_thread=False)

    def on_progress(progress: Any) -> None:
        if not held:
            lock.execute("BEGIN EXCLUSIVE")
            held.append(asyncio.get_running_loop().call_later(0.3, lock.execute, "ROLLBACK"))

    ending = await run(plan, store, Watch(on_progress=on_progress))
    lock.close()
    assert (ending.state, len(samples()), now(plan, store).state) == (S.FINISHED, 200, S.FINISHED)
