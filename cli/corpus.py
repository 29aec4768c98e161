"""`tracemill sql`, `show` and `export`: looking into the corpus and cutting data sets from it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from tracemill.core.settings import Settings, settings
from tracemill.corpus.sql import QueryResult, query
from tracemill.corpus.store import Corpus
from tracemill.pipelines.exporting import export_dataset
from tracemill.pipelines.jobs import JobStore, newest_job
from tracemill.pipelines.report import trace_lines

CorpusOption = Annotated[Path | None, typer.Option("--corpus", help="folder of the corpus (TRACEMILL_CORPUS)")]


def settings_with(corpus: Path | None) -> Settings:
    """The settings, with the command's own corpus where one is given."""
    here = settings()
    return here if corpus is None else here.model_copy(update={"corpus": corpus.expanduser().absolute()})


def sql(
    select: Annotated[
        str, typer.Argument(help="one SELECT over prompts, traces, verdicts, drops, datasets, audits, metrics")
    ],
    corpus: CorpusOption = None,
    output: Annotated[Literal["table", "jsonl", "csv"], typer.Option("--format", help="table, jsonl or csv")] = "table",
) -> None:
    """Query the corpus with SQL (DuckDB's), read-only."""
    here = settings_with(corpus)
    Corpus.open(here.corpus)
    found = query(here.corpus, select, seconds=here.sql_seconds, memory_mb=here.sql_memory_mb, rows=here.sql_rows)
    if output == "jsonl":
        for row in found.rows:
            typer.echo(json.dumps(dict(zip(found.columns, row, strict=True)), ensure_ascii=False, default=str))
    elif output == "csv":
        csv.writer(sys.stdout).writerows([found.columns, *found.rows])
    else:
        _print_table(found)
    if found.truncated:
        typer.echo(f"cut at {len(found.rows):,} rows (TRACEMILL_SQL_ROWS)", err=True)


def _print_table(found: QueryResult) -> None:
    table = Table(box=None, pad_edge=False)
    for column, kind in zip(found.columns, found.types, strict=True):
        is_number = kind.startswith(("INT", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "U", "SMALLINT", "TINY"))
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*(_cell(value) for value in row))
    Console(soft_wrap=not sys.stdout.isatty()).print(table, markup=False)
    typer.echo(f"{len(found.rows):,} rows in {found.elapsed_ms:,.0f} ms")


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show(
    name: Annotated[str, typer.Argument(help="name of a job (and of its data set)")],
    kept: Annotated[int, typer.Option(help="kept traces to show")] = 1,
    rejected: Annotated[int, typer.Option(help="rejected traces to show")] = 0,
    corpus: CorpusOption = None,
) -> None:
    """Show traces in full with their verdicts: kept ones, rejected ones."""
    here = settings_with(corpus)
    job = newest_job(name, JobStore(here.jobs_url))
    typer.echo("\n".join(trace_lines(Corpus.open(here.corpus), job.id, name, kept, rejected)))


def export(
    dataset: Annotated[str, typer.Argument(help="name of the data set")],
    to: Annotated[Path | None, typer.Option(help="folder to write (TRACEMILL_EXPORTS/name-vN)")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="version; the latest where unset")] = None,
    layout: Annotated[
        Literal["parquet", "arrow"], typer.Option(help="parquet for load_dataset, arrow for load_from_disk")
    ] = "parquet",
    corpus: CorpusOption = None,
) -> None:
    """Write a data set as prompt and completion rows that TRL and `datasets` read."""
    made = export_dataset(settings_with(corpus), dataset, version, to, layout)
    typer.echo(f"{made.rows:,} rows in {made.path}\nload it with: {made.load}")
