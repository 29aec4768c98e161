"""The store of jobs: which recipes were run, in what state they are, how far they are. SQLite or PostgreSQL by URL.

Traces and verdicts are in the corpus; what stands here is only what a person or the service asks of a job. Every change
of state is one conditional UPDATE, so that of two at once one does nothing; which order a state allows is
`pipelines.orders`.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from tracemill.core.errors import NotFound, SetupError, nearest
from tracemill.pipelines.job_table import JobRow, open_database
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.references import ReferenceCheck

Runner = Literal["command", "service"]
"""Who runs a job: a service starts its own again after a crash, but not one that a person's command runs."""


class JobState(StrEnum):
    """queued → running → finished, failed, stopped, paused or cancelled; submitted again, each of them goes on."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """By a signal to the command that ran it."""
    PAUSED = "paused"
    CANCELLED = "cancelled"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class Order(StrEnum):
    """What a person may ask of a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    HARVEST = "harvest"
    """Stop now, keep and select from what is there."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a job has taken in all its runs."""

    samples: int = 0
    correct: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Of generation, by the clock."""
    gpu_seconds: float = 0.0
    """GPUs times the seconds that replicas held them."""

    def with_run(self, progress: Progress) -> Totals:
        """These and what one more run has taken so far."""
        return Totals(
            samples=self.samples + progress.new,
            correct=self.correct + progress.correct,
            prompt_tokens=self.prompt_tokens + progress.prompt_tokens,
            completion_tokens=self.completion_tokens + progress.completion_tokens,
            seconds=round(self.seconds + progress.seconds, 1),
            gpu_seconds=round(self.gpu_seconds + progress.gpu_seconds, 1),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the store."""

    id: str
    name: str
    state: JobState
    runner: Runner
    recipe: Mapping[str, Any]
    progress: Mapping[str, Any]
    error: str | None
    created_at: datetime
    updated_at: datetime
    requested: Order | None = None
    """An order that who runs it has not carried out yet."""
    harvested: bool = False
    """Finished before all its samples were made, because it was asked to: `progress` says how many there are."""
    corpus: str | None = None
    """Where its traces are; None until it has run."""

    @property
    def totals(self) -> Totals:
        """Of all its runs, as far as they were written down."""
        stored = self.progress.get("totals", {})
        return Totals(**{field.name: stored[field.name] for field in fields(Totals) if field.name in stored})


class JobStore:
    """Jobs in an SQL database. Opening it makes the table where it is missing, and its new columns."""

    def __init__(self, url: str) -> None:
        """Raises InputError for a bad URL and SetupError for a database that cannot be reached."""
        self._engine = open_database(url)
        weakref.finalize(self, self._engine.dispose)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A transaction whose failures are one line."""
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            reason = str(error).splitlines()[0]
            raise SetupError(f"the jobs store fails: {reason}; see TRACEMILL_JOBS_URL") from error

    def submit(self, job_id: str, recipe: Recipe, runner: Runner) -> tuple[Job, bool]:
        """Queue a job. One that is queued or running stays as it is, which the second value says."""
        plain = recipe.model_dump(mode="json")
        queued = self._insert(job_id, recipe.name, runner, plain)
        queued = queued or self.requeue(job_id, runner, [state for state in JobState if state not in ACTIVE], plain)
        job = self.get(job_id)
        assert job is not None  # a row is never deleted
        return job, queued

    def _insert(self, job_id: str, name: str, runner: Runner, recipe: dict[str, Any]) -> bool:
        now = self._now()
        moments = {"created_at": now, "updated_at": now, "submitted_at": now}
        row = JobRow(id=job_id, name=name, state=JobState.QUEUED, runner=runner, recipe=recipe, progress={}, **moments)
        if self.get(job_id) is not None:
            return False
        try:
            with self._session() as session:
                session.add(row)
        except IntegrityError:  # submitted twice at the same moment
            return False
        return True

    def requeue(
        self,
        job_id: str,
        runner: Runner,
        states: Collection[JobState],
        recipe: dict[str, Any] | None = None,
        requested: Order | None = None,
    ) -> bool:
        """Queue a job that is in one of these states again, with an order where one is given."""
        values: dict[str, Any] = {"error": None, "harvested": False} | ({} if recipe is None else {"recipe": recipe})
        values |= {"runner": runner, "requested": requested, "submitted_at": self._now()}
        return self._change(job_id, states, state=JobState.QUEUED, **values)

    def start(self, job_id: str, recipe: Recipe, runner: Runner, corpus: str) -> Job | None:
        """Record that the caller, who holds the job's ledger, runs it. None where it was paused or cancelled before."""
        values: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "runner": runner, "corpus": corpus}
        is_ours = self._change(job_id, ACTIVE, state=JobState.RUNNING, error=None, **values)
        return self.get(job_id) if is_ours else None

    def request(self, job: Job, order: Order | None) -> bool:
        """Ask it of a job, or (None) withdraw what was asked; not where state or request are no more those of `job`."""
        return self._change(job.id, [job.state], was=job.requested or "", requested=order)

    def move(self, job_id: str, states: Collection[JobState], to: JobState, error: str | None = None) -> bool:
        """A job that nobody runs changes its state; False where it is in none of these states (any more)."""
        return self._change(job_id, states, state=to, error=error, requested=None)

    def end(
        self, job_id: str, to: JobState, error: str | None = None, harvested: bool = False, order: Order | None = None
    ) -> bool:
        """Record how a run ended. False where it had ended, or `order`, because of which it did, does not stand."""
        ended: dict[str, Any] = {"state": to, "error": error, "harvested": harvested, "requested": None}
        return self._change(job_id, ACTIVE, was=order, **ended)

    def _change(self, job_id: str, states: Collection[JobState], was: str | None = None, **values: Any) -> bool:
        """Change the row where it is in one of these states and `was` ("" for nothing) is what is requested."""
        change = update(JobRow).where(JobRow.id == job_id, JobRow.state.in_(states))
        if was is not None:
            change = change.where(func.coalesce(JobRow.requested, "") == was)
        with self._session() as session:
            done = session.execute(change.values(updated_at=datetime.now(UTC), **values))
            return cast("CursorResult[Any]", done).rowcount == 1

    def _now(self) -> datetime:
        """Later than every submission before, so that there is a newest one whatever the clock does."""
        with self._session() as session:
            last = session.scalar(select(func.max(func.coalesce(JobRow.submitted_at, JobRow.created_at))))
        now = datetime.now(UTC)
        return now if last is None else max(now, _in_utc(last) + timedelta(microseconds=1))

    def set_progress(self, job_id: str, progress: Progress, earlier: Totals = Totals()) -> None:
        """Record where a job stands; `earlier` is what it had taken before this run."""
        self.add_progress(job_id, {**progress.plain(), "totals": asdict(earlier.with_run(progress))})

    def set_references(self, job_id: str, found: ReferenceCheck) -> None:
        """Record what the check of the job's references has found."""
        self.add_progress(job_id, {"references": asdict(found)})

    def add_progress(self, job_id: str, plain: Mapping[str, Any]) -> None:
        """Put these figures in place of those of the same name. Only who runs the job calls it."""
        with self._session() as session:
            row = session.get_one(JobRow, job_id)
            row.progress, row.updated_at = {**(row.progress or {}), **plain}, datetime.now(UTC)

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        with self._session() as session:
            row = session.get(JobRow, job_id)
            return None if row is None else _job(row)

    def list(self, *states: JobState) -> list[Job]:
        """Jobs, the last submitted first; only those in the given states where some are given."""
        submitted = func.coalesce(JobRow.submitted_at, JobRow.created_at)
        query = select(JobRow).order_by(submitted.desc(), JobRow.id)
        if states:
            query = query.where(JobRow.state.in_(states))
        with self._session() as session:
            return [_job(row) for row in session.scalars(query)]


def newest_job(name: str, store: JobStore) -> Job:
    """The job of that name that was submitted last, an evaluation only where no other has it. Raises NotFound."""
    jobs = store.list()
    named = [job for job in jobs if job.name == name]
    for job in sorted(named, key=lambda job: job.recipe.get("purpose") == "evaluation"):
        return job
    hint = nearest(name, {job.name for job in jobs}) if jobs else "; none has run yet: tracemill run"
    raise NotFound(f"job: no job is called {name!r}{hint}")


def _in_utc(moment: datetime) -> datetime:
    """SQLite forgets the time zone, PostgreSQL gives its own."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        name=row.name,
        state=JobState(row.state),
        runner=cast(Runner, row.runner),
        recipe=dict(row.recipe),
        progress=dict(row.progress or {}),
        error=row.error,
        created_at=_in_utc(row.created_at),
        updated_at=_in_utc(row.updated_at),
        requested=None if row.requested is None else Order(row.requested),
        harvested=bool(row.harvested),
        corpus=row.corpus,
    )
