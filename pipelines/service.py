"""Jobs that run in the Ray cluster rather than in the caller: submitted over REST, surviving the service.

Each job is one detached actor, restarted by Ray when it dies; a job whose cluster is gone is started again by
`resume_unfinished`. Both go on from what is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from tracemill.core.errors import NotFound, TracemillError
from tracemill.core.settings import Settings
from tracemill.corpus.funnel import Funnel, funnel
from tracemill.corpus.selection import datasets
from tracemill.corpus.store import Corpus
from tracemill.factory import cluster
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.generation import Progress
from tracemill.pipelines.jobs import Job, JobState, JobStore
from tracemill.pipelines.plan import make_plan, policy
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.runner import Watch, run_job

PROGRESS_EVERY_S = 1.0


class JobRunner:
    """The actor that runs one job and writes its state and progress to the store."""

    async def run(self, recipe: Mapping[str, Any], settings: Settings) -> None:
        """Runs to the end; a failure of the job is a state, not an exception."""
        store = JobStore(settings.jobs_url)
        plan = await asyncio.to_thread(lambda: make_plan(recipes.parse(recipe)))
        store.set_state(plan.job_id, JobState.RUNNING)
        last = 0.0

        def on_progress(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_EVERY_S or progress.durable == progress.total:
                last = time.monotonic()
                store.set_progress(plan.job_id, progress)

        try:
            await run_job(plan, settings, Watch(on_progress=on_progress))
        except TracemillError as error:
            store.set_state(plan.job_id, JobState.FAILED, str(error))
        except Exception as error:
            store.set_state(plan.job_id, JobState.FAILED, f"{type(error).__name__}: {error}")
            raise
        else:
            store.set_state(plan.job_id, JobState.FINISHED)


def submit(recipe: Recipe, settings: Settings, store: JobStore) -> Job:
    """Check a recipe and start its job; one that runs already is left alone. Raises InputError or SetupError."""
    plan = make_plan(recipe)
    check_model(plan, settings)
    job, queued = store.submit(plan.job_id, recipe, "service")
    if queued:
        _start(job, settings, again=True)
    return job


def resume_unfinished(settings: Settings, store: JobStore) -> list[Job]:
    """Start again what was queued or running when the service or its cluster ended. Returns those jobs."""
    jobs = [job for job in store.list(JobState.QUEUED, JobState.RUNNING) if job.runner == "service"]
    for job in jobs:
        _start(job, settings, again=False)
    return jobs


def _start(job: Job, settings: Settings, again: bool) -> None:
    cluster.start_detached(
        f"job-{job.id}", JobRunner, "run", job.recipe, settings, address=settings.ray_address, again=again
    )


def job_funnel(job: Job, corpus: Corpus) -> Funnel:
    """The funnel of a job as far as it is in the corpus."""
    versions = [version for version in datasets(corpus) if version.name == job.name and version.job_id == job.id]
    return funnel(corpus, job.id, policy(recipes.parse(job.recipe)), versions[-1] if versions else None)


def known_job(job_id: str, store: JobStore) -> Job:
    """The job of that id. Raises NotFound where there is none."""
    job = store.get(job_id)
    if job is None:
        raise NotFound(f"job: no job {job_id!r}; GET /v1/jobs lists them")
    return job
