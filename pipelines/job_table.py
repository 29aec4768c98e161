"""The table of jobs in SQLite or PostgreSQL, made or brought up to date when a store is opened. Knows no rules.

A database of an older version gets the columns that it lacks; every later column may be NULL, so that the older
version can still write to it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, DateTime, Engine, String, Text, create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateColumn

from tracemill.core.errors import InputError, SetupError


class Table(DeclarativeBase):
    """What the store keeps."""


class JobRow(Table):
    """One job. What each column means stands at `jobs.Job`."""

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
    # Since job control:
    requested: Mapped[str | None] = mapped_column(String(16))
    harvested: Mapped[bool | None] = mapped_column(Boolean)
    corpus: Mapped[str | None] = mapped_column(Text)
    submitted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


def open_database(url: str) -> Engine:
    """The database with its table. Raises InputError for a bad URL, SetupError where it cannot be reached."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=True)  # a service lives longer than its database's connections
        try:
            _bring_up_to_date(engine)
        except DatabaseError:  # another process did the same at the same moment
            _bring_up_to_date(engine)
    except ModuleNotFoundError as error:
        remedy = "pip install 'tracemill[postgres]'" if error.name == "psycopg" else f"pip install {error.name}"
        raise SetupError(f"TRACEMILL_JOBS_URL: {url} needs {error.name}: {remedy}") from error
    except (ArgumentError, ImportError) as error:
        raise InputError(f"TRACEMILL_JOBS_URL: {error}") from error
    except (SQLAlchemyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SetupError(f"cannot open the jobs store {url}: {reason}; set TRACEMILL_JOBS_URL") from error
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    Table.metadata.create_all(engine)
    there = {column["name"] for column in inspect(engine).get_columns(JobRow.__tablename__)}
    missing = [column for column in JobRow.metadata.tables[JobRow.__tablename__].columns if column.name not in there]
    if missing:
        with engine.begin() as connection:
            for column in missing:
                definition = CreateColumn(column).compile(dialect=engine.dialect)
                connection.execute(text(f"ALTER TABLE {JobRow.__tablename__} ADD COLUMN {definition}"))
