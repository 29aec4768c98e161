"""Jobs that run in the Ray cluster rather than in the caller: submitted over REST, surviving the service.

Each job is one detached actor, restarted by Ray when it dies; a job whose cluster is gone is started again by
`resume_unfinished`. Both go on from what is durable.
"""

from __future__ import annotations

import asyncio
import contextlib

from tracemill.core.errors import InputError, NotFound, TracemillError
from tracemill.core.settings import Settings
from tracemill.corpus.funnel import Funnel, funnel
from tracemill.corpus.store import Corpus
from tracemill.factory import cluster
from tracemill.factory.weights import model_at
from tracemill.pipelines import orders
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.admission import admitted
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.identity import folders
from tracemill.pipelines.jobs import ACTIVE, Job, JobState, JobStore, Order
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.report import dataset_of
from tracemill.pipelines.runner import Watch
from tracemill.pipelines.running import reason_of, run_stored


class JobRunner:
    """The actor that runs one job and writes its state and progress to the store."""

    async def run(self, job_id: str, settings: Settings) -> None:
        """Runs to the end; a failure of the job is a state, not an exception."""
        store = JobStore(settings.jobs_url)
        try:
            plan = await asyncio.to_thread(stored_plan, known_job(job_id, store))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must not look as if it ran
            store.end(job_id, JobState.FAILED, reason_of(error))
            return
        with contextlib.suppress(Exception):  # which `run_stored` has recorded; one that is locked runs elsewhere
            await run_stored(plan, settings, Watch(), store, "service")


def stored_plan(job: Job) -> Plan:
    """The plan of a job's stored recipe. Raises InputError where its prompts or models are no more what they were."""
    recipe = recipes.parse(job.recipe)
    plan = make_plan(recipe)
    if plan.job_id == job.id:
        return plan
    named = folders(recipe)
    for folder in named:
        if model_at(str(folder)) is None:
            raise InputError(f"there is no model in {folder} any more; put it back, or submit the recipe with another")
    changed = [f"the model in {folder}" for folder in named]
    if any(source.source != "reasoning_gym" for source in (*recipe.prompts, *recipe.hold_out)):
        changed.insert(0, "what the prompt files hold")
    what = " or ".join(changed) or "what reasoning-gym asks"
    raise InputError(f"{what} has changed since the job was submitted; submit the recipe again")


def submit(recipe: Recipe, settings: Settings, store: JobStore) -> Job:
    """Check a recipe and start its job; one that runs already is left alone. Raises InputError or SetupError."""
    recipe = admitted(recipe, settings)
    plan = make_plan(recipe)
    check_model(plan, settings)
    given = orders.submit(plan.job_id, recipe, "service", settings, store)
    if given.is_to_run:
        _start_queued(given.job, settings, store)
    return given.job


def order(what: Order, job_id: str, settings: Settings, store: JobStore) -> Job:
    """Give an order to a job, and start what it takes. Raises NotFound, or Conflict where its state forbids it."""
    given = orders.give(what, known_job(job_id, store), "service", settings, store)
    if given.is_to_run:
        _start_queued(given.job, settings, store)
    return orders.seen(given.job, settings)


def resume_unfinished(settings: Settings, store: JobStore) -> list[Job]:
    """Start again what was queued or running when the service or its cluster ended. Returns those jobs."""
    jobs = [job for job in store.list(*ACTIVE) if job.runner == "service"]
    for job in jobs:
        _start(job, settings, again=False)
    return jobs


def _start_queued(job: Job, settings: Settings, store: JobStore) -> None:
    """Start what the caller has queued: a job is never left waiting for a runner that does not come."""
    try:
        _start(job, settings, again=True)
    except TracemillError as error:
        if store.move(job.id, [JobState.QUEUED], JobState.FAILED, str(error)):
            raise
        # Its actor had died, and Ray's next one has found it queued.


def _start(job: Job, settings: Settings, again: bool) -> None:
    cluster.start_detached(
        f"job-{job.id}", JobRunner, "run", job.id, settings, address=settings.ray_address, again=again
    )


def job_funnel(job: Job, corpus: Corpus) -> Funnel:
    """The funnel of a job as far as it is in the corpus. An evaluation selects nothing."""
    found = dataset_of(job, corpus)
    has_selected = found.version > 0 or job.state is JobState.FINISHED  # where it finished, nothing was left
    selects = job.recipe.get("purpose") != "evaluation"
    return funnel(corpus, job.id, found.policy, found if has_selected and selects else None)


def known_job(job_id: str, store: JobStore) -> Job:
    """The job of that id. Raises NotFound where there is none."""
    job = store.get(job_id)
    if job is None:
        raise NotFound(f"job: no job {job_id!r}; GET /v1/jobs lists them")
    return job
