"""`tracemill sql`, `show` and `export`: looking into the corpus and cutting data sets from it."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracemill.core.errors import NotFound
from tracemill.core.settings import Settings, location, settings
from tracemill.corpus.sql import QueryResult, query
from tracemill.corpus.store import Corpus
from tracemill.pipelines.exporting import export_dataset
from tracemill.pipelines.jobs import Job, JobStore, newest_job
from tracemill.pipelines.report import dataset_of, trace_lines

_NUMBERS = ("INT", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "U", "SMALLINT", "TINY")
_WIDE = 200
"""Widest table (characters) where there is no terminal."""
CorpusOption = Annotated[
    str | None, typer.Option("--corpus", help="folder of the corpus, or s3://bucket/prefix (TRACEMILL_CORPUS)")
]


def settings_with(corpus: str | None) -> Settings:
    """The settings, with the command's own corpus where one is given."""
    here = settings()
    return here if corpus is None else here.model_copy(update={"corpus": location(corpus)})


def sql(
    select: Annotated[
        str,
        typer.Argument(
            help="one SELECT over prompts, traces, verdicts, metrics, evaluations, … (docs/reference/tables.md)"
        ),
    ],
    corpus: CorpusOption = None,
    output: Annotated[Literal["table", "jsonl", "csv"], typer.Option("--format", help="table, jsonl or csv")] = "table",
) -> None:
    """Query the corpus with SQL (DuckDB's), read-only."""
    here = settings_with(corpus)
    found = query(here.corpus, select, seconds=here.sql_seconds, memory_mb=here.sql_memory_mb, rows=here.sql_rows)
    if output == "jsonl":
        for row in found.rows:
            typer.echo(json.dumps(dict(zip(found.columns, row, strict=True)), ensure_ascii=False, default=str))
    elif output == "csv":
        csv.writer(sys.stdout).writerows([found.columns, *found.rows])
    else:
        print_table(found, Console(soft_wrap=not sys.stdout.isatty()))
    if found.truncated:
        typer.echo(f"cut at {len(found.rows):,} rows (TRACEMILL_SQL_ROWS)", err=True)


def print_table(found: QueryResult, console: Console) -> None:
    """The rows as a table; where that does not fit, each row as lines of `name: value`."""
    if not found.rows:
        console.out(f"0 rows of {', '.join(found.columns)}", highlight=False)
        return
    cells = [[_cell(value) for value in row] for row in found.rows]
    columns = zip(found.columns, *cells, strict=True)
    width = sum(2 + max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns) - 2
    if width > (console.width if console.is_terminal else _WIDE):
        _print_vertically(found.columns, cells, console)
    else:
        table = Table(box=None, pad_edge=False)
        for column, kind in zip(found.columns, found.types, strict=True):
            table.add_column(Text(column), justify="right" if kind.startswith(_NUMBERS) else "left", no_wrap=True)
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table, width=width, no_wrap=True, overflow="ignore", crop=False)
    console.out(f"{len(found.rows):,} rows in {found.elapsed_ms:,.0f} ms", highlight=False)


def _print_vertically(columns: Sequence[str], cells: Sequence[Sequence[str]], console: Console) -> None:
    name_width = max(map(cell_len, columns))
    for number, row in enumerate(cells, 1):
        console.out(f"── row {number:,} " + "─" * 24, highlight=False)
        for column, cell in zip(columns, row, strict=True):
            indented = cell.replace("\n", "\n" + " " * (name_width + 2))
            console.out(f"{column + ':':<{name_width + 1}} {indented}", highlight=False)  # whole: the terminal wraps


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:.0f}"  # a count, maybe


def show(
    name: Annotated[str, typer.Argument(help="name of a job (and of its data set)")],
    kept: Annotated[int, typer.Option(help="kept traces to show")] = 1,
    rejected: Annotated[int, typer.Option(help="rejected traces to show")] = 0,
    corpus: CorpusOption = None,
) -> None:
    """Show traces in full with their verdicts: kept ones, rejected ones."""
    here = settings_with(corpus)
    opened = Corpus.open(here.corpus)
    job = job_here(name, opened, here)
    lines = trace_lines(opened, dataset_of(job, opened), kept, rejected)
    typer.echo("\n".join(lines) if lines else f"no such trace; {name} may have kept none: --rejected 10 says why")


def job_here(name: str, corpus: Corpus, here: Settings) -> Job:
    """The newest job of that name. Raises NotFound where there is none, or the corpus holds no trace of it."""
    job = newest_job(name, JobStore(here.jobs_url))
    if not corpus.rows("SELECT 1 FROM traces WHERE job_id = $job LIMIT 1", {"job": job.id}):
        raise NotFound(
            f"job: {name!r} has no trace in {corpus.root}; if it was run with another corpus, name that one: "
            "--corpus, or TRACEMILL_CORPUS"
        )
    return job


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
