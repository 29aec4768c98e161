"""The jobs store on SQLite and PostgreSQL: states, orders between processes, two at once, older databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import create_engine, text

from tracemill.core.errors import InputError, SetupError
from tracemill.core.settings import settings
from tracemill.pipelines import jobs
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order, Totals, newest_job
from tracemill.pipelines.orders import submit
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress

Sums = Callable[..., Plan]


def stored(store: JobStore, plan: Plan) -> Job:
    job = store.get(plan.job_id)
    assert job is not None
    return job


def test_a_job_goes_through_its_states(jobs_url: str, sums: Sums) -> None:
    store, plan = JobStore(jobs_url), sums()
    job, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (job.state, queued, job.corpus, job.requested) == (JobState.QUEUED, True, None, None)
    started = store.start(plan.job_id, plan.recipe, "service", "/corpus")
    assert started is not None
    assert (started.state, started.corpus) == (JobState.RUNNING, "/corpus")
    job, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (job.state, queued) == (JobState.RUNNING, False), "a running job is left alone"
    store.set_progress(plan.job_id, Progress(200, 50, 50, 20, {"too long": 1}, 100, 1000, 10.0))
    assert store.end(plan.job_id, JobState.FAILED, "the engine died")
    job = stored(JobStore(jobs_url), plan)
    assert (job.name, job.state, job.error) == ("sums", JobState.FAILED, "the engine died")
    assert (job.progress["durable"], job.progress["tokens_per_s"]) == (50, 100.0)
    assert job.recipe["name"] == "sums"
    again, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (again.state, again.error, queued) == (JobState.QUEUED, None, True)
    assert store.list(JobState.QUEUED) == [again]
    assert store.list(JobState.RUNNING) == []
    assert newest_job("sums", store) == again


def test_what_all_runs_took_adds_up(jobs_url: str, sums: Sums) -> None:
    store, plan = JobStore(jobs_url), sums()
    store.submit(plan.job_id, plan.recipe, "command")
    first = Progress(200, 50, 50, 20, {}, 100, 1000, 10.0)
    store.set_progress(plan.job_id, first)
    store.set_progress(plan.job_id, first, stored(store, plan).totals)
    assert stored(store, plan).totals == Totals(100, 40, 200, 2000, 20.0)
    store.add_progress(plan.job_id, {"kept": 7})
    assert stored(store, plan).progress["kept"] == 7
    assert stored(store, plan).totals.samples == 100, "what is not named stays"


def test_a_job_that_was_paused_before_it_started_is_not_started(jobs_url: str, sums: Sums) -> None:
    store, plan = JobStore(jobs_url), sums()
    store.submit(plan.job_id, plan.recipe, "service")
    assert store.move(plan.job_id, [JobState.QUEUED], JobState.PAUSED)
    assert not store.move(plan.job_id, [JobState.QUEUED], JobState.CANCELLED), "it is queued no more"
    assert store.start(plan.job_id, plan.recipe, "service", "/corpus") is None
    assert stored(store, plan).state is JobState.PAUSED


def test_an_order_reaches_who_runs_the_job_and_ends_it_only_while_it_stands(jobs_url: str, sums: Sums) -> None:
    store, other, plan = JobStore(jobs_url), JobStore(jobs_url), sums()
    store.submit(plan.job_id, plan.recipe, "command")
    store.start(plan.job_id, plan.recipe, "command", "/corpus")
    before = stored(other, plan)
    assert other.request(before, Order.PAUSE)
    assert stored(store, plan).requested is Order.PAUSE
    assert not other.request(before, Order.CANCEL), "something else is requested by now"
    assert other.request(stored(other, plan), None)
    assert not store.end(plan.job_id, JobState.PAUSED, order=Order.PAUSE), "it was taken back"
    assert other.request(stored(other, plan), Order.HARVEST)
    assert store.end(plan.job_id, JobState.FINISHED, harvested=True)
    job = stored(other, plan)
    assert (job.state, job.harvested, job.requested) == (JobState.FINISHED, True, None)
    assert not store.end(plan.job_id, JobState.FAILED), "it has ended"
    assert store.submit(plan.job_id, plan.recipe, "command")[0].harvested is False


def test_two_who_submit_the_same_recipe_at_once_make_one_job_and_one_of_them_runs_it(jobs_url: str, sums: Sums) -> None:
    plan, count = sums(), 8
    stores, start = [JobStore(jobs_url) for _ in range(count)], Barrier(count)

    def post(store: JobStore) -> bool:
        start.wait()
        return submit(plan.job_id, plan.recipe, "service", settings(), store).is_to_run

    for state in (JobState.FINISHED, JobState.CANCELLED):
        with ThreadPoolExecutor(count) as threads:
            assert sum(threads.map(post, stores)) == 1
        assert len(stores[0].list()) == 1
        assert stores[0].end(plan.job_id, state)


def test_two_processes_that_open_a_new_store_at_once_both_can(jobs_url: str) -> None:
    start = Barrier(4)

    def open_store(number: int) -> int:
        start.wait()
        return len(JobStore(jobs_url).list())

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(open_store, range(4))) == [0] * 4


def test_the_newest_job_is_the_one_submitted_last_whatever_the_clock_says(
    jobs_url: str, sums: Sums, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Stopped:
            return cls(2026, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(jobs, "datetime", Stopped)
    store = JobStore(jobs_url)
    plans = [sums(samples=samples) for samples in range(1, 7)]
    for plan in plans:
        store.submit(plan.job_id, plan.recipe, "command")
    assert [job.id for job in store.list()] == [plan.job_id for plan in reversed(plans)]
    first = plans[0]
    store.end(first.job_id, JobState.FINISHED)
    store.submit(first.job_id, first.recipe, "command")
    assert newest_job("sums", store).id == first.job_id


OLD = """CREATE TABLE jobs (id VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
    runner VARCHAR(16) NOT NULL, recipe JSON NOT NULL, progress JSON NOT NULL, error TEXT, created_at {time} NOT NULL,
    updated_at {time} NOT NULL)"""


def test_a_database_of_an_older_version_is_brought_up_to_date(jobs_url: str, sums: Sums, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    plan, engine = sums(), create_engine(jobs_url)
    insert = (
        "INSERT INTO jobs VALUES ('{}', 'old', 'stopped', 'command', '{{}}', '{{\"durable\": 3}}', NULL, '{}', '{}')"
    )
    with engine.begin() as connection:
        connection.execute(text(OLD.format(time="DATETIME" if engine.name == "sqlite" else "TIMESTAMPTZ")))
        for name, day in (("a", 1), ("b", 2)):
            moment = f"2026-01-0{day} 00:00:00.000000"
            connection.exec_driver_sql(insert.format(name, moment, moment))
    engine.dispose()
    store = JobStore(jobs_url)
    newest, oldest = store.list()
    assert (newest.id, oldest.id, newest.progress) == ("b", "a", {"durable": 3})
    assert (newest.requested, newest.harvested, newest.corpus, newest.totals) == (None, False, None, Totals())
    store.submit(plan.job_id, plan.recipe, "command")
    assert store.requeue("a", "command", [JobState.STOPPED], requested=Order.HARVEST)
    assert [job.id for job in JobStore(jobs_url).list()] == ["a", plan.job_id, "b"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path}/jobs.db")
    assert store.get("none") is None
    with pytest.raises(InputError, match="no job is called 'demo'; none has run yet"):
        newest_job("demo", store)
    with pytest.raises(InputError, match="TRACEMILL_JOBS_URL"):
        JobStore("nonsense")
    with pytest.raises(SetupError, match="cannot open the jobs store"):
        JobStore("sqlite:////proc/none/jobs.db")
    with pytest.raises(SetupError, match="cannot open the jobs store postgresql"):
        JobStore("postgresql://nobody@/none?host=/proc/none")
