"""The corpus over REST: guarded SQL and exports."""

from __future__ import annotations

from fastapi import APIRouter, Request

from tracemill.api.schemas import ExportIn, ExportOut, Problem, SqlIn, SqlOut
from tracemill.core.settings import Settings
from tracemill.corpus.sql import query
from tracemill.pipelines.exporting import export_dataset

router = APIRouter(tags=["corpus"], responses={422: {"model": Problem}})


@router.post("/sql")
def sql(body: SqlIn, request: Request) -> SqlOut:
    """Run one SELECT; nothing but the corpus can be read, nothing can be written."""
    settings: Settings = request.app.state.settings
    found = query(
        settings.corpus,
        body.query,
        seconds=settings.sql_seconds,
        memory_mb=settings.sql_memory_mb,
        rows=settings.sql_rows,
    )
    return SqlOut(
        columns=list(found.columns),
        types=list(found.types),
        rows=[list(row) for row in found.rows],
        truncated=found.truncated,
        elapsed_ms=found.elapsed_ms,
    )


@router.post("/datasets/{name}/exports", status_code=201)
def export(name: str, request: Request, body: ExportIn | None = None) -> ExportOut:
    """Write a data set version as a folder that the `datasets` library loads; without a body, the latest as Parquet."""
    settings: Settings = request.app.state.settings
    wanted = body or ExportIn()
    made = export_dataset(settings, name, wanted.version, None, wanted.layout)
    return ExportOut(path=str(made.path), rows=made.rows, load=made.load)
