"""Which order a job takes in which state, and what comes of it. An order is safe to give twice, or by two at once.

    queued     pause, cancel, harvest           failed, stopped, paused    resume, cancel, harvest
    running    pause, cancel, harvest           cancelled                  harvest; submitted again, it goes on
    finished   none; once harvested: resume

A running job gets its order through the store, and carries it out within seconds (`pipelines.running`); a resume takes
a pause back that was not carried out yet. A job whose process was killed counts as stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tracemill.core.errors import Conflict, CorpusError, SetupError
from tracemill.core.settings import Settings, location
from tracemill.corpus.place import place_at
from tracemill.pipelines.jobs import ACTIVE, Job, JobState, JobStore, Order, Runner
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.running import STATES

DIED = "its process died"
_IDLE = (JobState.FAILED, JobState.STOPPED, JobState.PAUSED)
_TAKES: dict[JobState, tuple[Order, ...]] = {
    **dict.fromkeys(ACTIVE, (Order.PAUSE, Order.CANCEL, Order.HARVEST)),
    **dict.fromkeys(_IDLE, (Order.RESUME, Order.CANCEL, Order.HARVEST)),
    JobState.CANCELLED: (Order.HARVEST,),
    JobState.FINISHED: (),
}
_TRIES = 20
"""How often an order is looked at anew because the job's state changed under it."""


@dataclass(frozen=True, slots=True)
class Given:
    """An order that was taken."""

    job: Job
    """As it stands now."""
    is_to_run: bool
    """Whether the caller must now run the job, which is queued."""


def seen(job: Job, settings: Settings) -> Job:
    """The job as it is: one that says `running` while nobody holds its ledger has stopped."""
    return replace(job, state=JobState.STOPPED, error=DIED, requested=None) if has_died(job, settings) else job


def has_died(job: Job, settings: Settings) -> bool:
    """Whether the process that ran the job ended without a word. False where its corpus is not to be reached here."""
    if job.state is not JobState.RUNNING:
        return False
    try:
        place = place_at(corpus_of(job, settings))
        return place.holds(f"ledger/{job.id}") and not place.is_locked(job.id)
    except (CorpusError, SetupError):
        return False


def corpus_of(job: Job, settings: Settings) -> Path | str:
    """Where the job's traces are, or will be."""
    return settings.corpus if job.corpus is None else location(job.corpus)


def submit(job_id: str, recipe: Recipe, runner: Runner, settings: Settings, store: JobStore) -> Given:
    """Queue a job, which is then the caller's to run. One that somebody runs, or will, stays as it is."""
    job, queued = store.submit(job_id, recipe, runner)
    if not queued and (has_died(job, settings) or _is_left(job, runner)):
        queued = store.requeue(job_id, runner, [job.state], recipe.model_dump(mode="json"))
    return Given(_now(job, store), queued)


def _is_left(job: Job, runner: Runner) -> bool:
    """Whether the job may wait for a command that died as it started. If that one lives, the ledger is one's alone."""
    return job.state is JobState.QUEUED and job.runner == runner == "command"


def give(order: Order, job: Job, runner: Runner, settings: Settings, store: JobStore) -> Given:
    """Give an order; `runner` says who runs the job where it must be run. Raises Conflict where it is not taken."""
    for _ in range(_TRIES):
        given = _given(order, job, runner, settings, store)
        if given is not None:
            return Given(_now(job, store), given)
        job = _now(job, store)
    raise Conflict(f"job {_named(job)}: its state keeps changing; try again")


def _given(order: Order, job: Job, runner: Runner, settings: Settings, store: JobStore) -> bool | None:
    """`Given.is_to_run`; None where the state has changed meanwhile."""
    shown = seen(job, settings)
    if _is_so(order, shown):
        return _is_left(job, runner)
    _check(order, shown)
    if order in STATES and shown.state is not JobState.RUNNING:
        return False if store.move(job.id, [job.state], STATES[order]) else None
    if shown.state in ACTIVE:
        return _is_left(job, runner) if store.request(job, None if order is Order.RESUME else order) else None
    requested = order if order is Order.HARVEST else None
    return True if store.requeue(job.id, runner, [job.state], requested=requested) else None


def _is_so(order: Order, job: Job) -> bool:
    """Whether the order has been carried out, or will be."""
    if order is Order.RESUME:
        return job.state in ACTIVE and job.requested is None
    if order is Order.HARVEST and job.state is JobState.FINISHED:
        return job.harvested
    return order is job.requested or STATES.get(order) is job.state


def _check(order: Order, job: Job) -> None:
    takes = list(_TAKES[job.state])
    if job.requested is Order.CANCEL:
        takes = [Order.CANCEL]
    elif job.requested is Order.PAUSE or (job.state is JobState.FINISHED and job.harvested):
        takes.append(Order.RESUME)
    if order not in takes:
        can = f"it can {', '.join(takes)}" if takes else "nothing is left to do"
        is_over = job.state not in ACTIVE and Order.RESUME not in takes
        also = "; run or submitted again, it goes on with what is missing" if is_over else ""
        raise Conflict(f"job {_named(job)} is {described(job)}: it cannot {order}, {can}{also}")


def described(job: Job) -> str:
    """The state in words."""
    if job.requested is not None:
        return f"{job.state}, asked to {job.requested}"
    if job.harvested:
        return f"{job.state} (harvested)"
    return f"{job.state} ({DIED})" if job.error == DIED else str(job.state)


def _named(job: Job) -> str:
    return f"{job.name} ({job.id[:8]})"


def _now(job: Job, store: JobStore) -> Job:
    found = store.get(job.id)
    assert found is not None  # a row is never deleted
    return found
