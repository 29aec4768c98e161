"""The jobs store on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.errors import InputError, SetupError
from tracemill.pipelines.generation import Progress
from tracemill.pipelines.jobs import JobState, JobStore, newest_job
from tracemill.pipelines.plan import Plan


def test_a_job_goes_through_its_states(tmp_path: Path, sums: Callable[..., Plan]) -> None:
    store, plan = JobStore(f"sqlite:///{tmp_path}/new/jobs.db"), sums()
    job, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (job.state, queued) == (JobState.QUEUED, True)
    store.set_state(plan.job_id, JobState.RUNNING)
    job, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (job.state, queued) == (JobState.RUNNING, False), "a running job is left alone"
    store.set_progress(plan.job_id, Progress(200, 50, 50, 20, {"too long": 1}, 100, 1000, 10.0))
    store.set_state(plan.job_id, JobState.FAILED, "the engine died")
    stored = JobStore(f"sqlite:///{tmp_path}/new/jobs.db").get(plan.job_id)
    assert stored is not None
    job = stored
    assert (job.name, job.state, job.error) == ("sums", JobState.FAILED, "the engine died")
    assert job.progress["durable"] == 50
    assert job.progress["tokens_per_s"] == 100.0
    assert job.recipe["name"] == "sums"
    again, queued = store.submit(plan.job_id, plan.recipe, "service")
    assert (again.state, again.error, queued) == (JobState.QUEUED, None, True)
    assert store.list(JobState.QUEUED) == [again]
    assert store.list(JobState.RUNNING) == []
    assert newest_job("sums", store) == again


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path}/jobs.db")
    assert store.get("none") is None
    with pytest.raises(InputError, match="no job is called 'demo'; none has run yet"):
        newest_job("demo", store)
    with pytest.raises(InputError, match="TRACEMILL_JOBS_URL"):
        JobStore("nonsense")
    with pytest.raises(SetupError, match="cannot open the jobs store"):
        JobStore("sqlite:////proc/none/jobs.db")
