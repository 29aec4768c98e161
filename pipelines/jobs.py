"""The store of jobs: which recipes were run, in what state they are, how far they are. SQLite or PostgreSQL by URL.

Traces and verdicts are in the corpus; what stands here is only what a person or the service asks of a job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import JSON, DateTime, String, Text, create_engine, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tracemill.core.errors import InputError, NotFound, SetupError, nearest
from tracemill.pipelines.generation import Progress
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.references import ReferenceCheck

Runner = Literal["command", "service"]
"""Who runs a job: a service starts its own again after a crash, but not one that a person's command runs."""


class JobState(StrEnum):
    """queued → running → finished, failed or stopped; from the last two a second run goes on."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


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


class _Table(DeclarativeBase):
    pass


class _JobRow(_Table):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    runner: Mapped[str] = mapped_column(String(16))
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class JobStore:
    """Jobs in an SQL database. Opening it makes the table where it is missing."""

    def __init__(self, url: str) -> None:
        """Raises InputError for a bad URL and SetupError for a database that cannot be reached."""
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed)
            _Table.metadata.create_all(self._engine)
        except (ArgumentError, ImportError) as error:
            raise InputError(f"TRACEMILL_JOBS_URL: {error}") from error
        except (SQLAlchemyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise SetupError(f"cannot open the jobs store {url}: {reason}; set TRACEMILL_JOBS_URL") from error

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session whose failures are one line."""
        try:
            with Session(self._engine) as session:
                yield session
        except SQLAlchemyError as error:
            reason = str(error).splitlines()[0]
            raise SetupError(f"the jobs store fails: {reason}; see TRACEMILL_JOBS_URL") from error

    def submit(self, job_id: str, recipe: Recipe, runner: Runner) -> tuple[Job, bool]:
        """Queue a job. One that is queued or running stays as it is, which the second value says."""
        now = datetime.now(UTC)
        with self._session() as session, session.begin():
            row = session.get(_JobRow, job_id)
            if row is None:
                row = _JobRow(id=job_id, name=recipe.name, runner=runner, progress={}, created_at=now)
                session.add(row)
            queued = row.state not in (JobState.QUEUED, JobState.RUNNING)
            if queued:
                row.state, row.error, row.runner = JobState.QUEUED, None, runner
            row.recipe, row.updated_at = recipe.model_dump(mode="json"), now
            session.flush()
            return _job(row), queued

    def set_state(self, job_id: str, state: JobState, error: str | None = None) -> None:
        """Record a change of state, with the one-line reason where it failed."""
        with self._session() as session, session.begin():
            row = session.get_one(_JobRow, job_id)
            row.state, row.error, row.updated_at = state, error, datetime.now(UTC)

    def set_progress(self, job_id: str, progress: Progress) -> None:
        """Record where a job stands."""
        plain = {
            "total": progress.total,
            "durable": progress.durable,
            "new": progress.new,
            "correct": progress.correct,
            "refused": dict(progress.refused),
            "completion_tokens": progress.completion_tokens,
            "tokens_per_s": round(progress.tokens_per_s, 1),
            "eta_s": None if progress.eta_s is None else round(progress.eta_s),
        }
        self._add_progress(job_id, plain)

    def set_references(self, job_id: str, found: ReferenceCheck) -> None:
        """Record what the check of the job's references has found."""
        self._add_progress(job_id, {"references": asdict(found)})

    def _add_progress(self, job_id: str, plain: Mapping[str, Any]) -> None:
        with self._session() as session, session.begin():
            row = session.get_one(_JobRow, job_id)
            row.progress, row.updated_at = {**(row.progress or {}), **plain}, datetime.now(UTC)

    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        with self._session() as session:
            row = session.get(_JobRow, job_id)
            return None if row is None else _job(row)

    def list(self, *states: JobState) -> list[Job]:
        """Jobs, newest first; only those in the given states where some are given."""
        query = select(_JobRow).order_by(_JobRow.created_at.desc(), _JobRow.id)
        if states:
            query = query.where(_JobRow.state.in_(states))
        with self._session() as session:
            return [_job(row) for row in session.scalars(query)]


def newest_job(name: str, store: JobStore) -> Job:
    """The newest job of that name. Raises NotFound where there is none."""
    jobs = store.list()
    for job in jobs:
        if job.name == name:
            return job
    hint = nearest(name, {job.name for job in jobs}) if jobs else "; none has run yet: tracemill run"
    raise NotFound(f"job: no job is called {name!r}{hint}")


def _in_utc(moment: datetime) -> datetime:
    """SQLite forgets the time zone, PostgreSQL gives its own."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _job(row: _JobRow) -> Job:
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
    )
