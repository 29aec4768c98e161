"""The corpus as DuckDB sees it: one view for each table over its current files, and the views of `views.sql`.

`statements` serves the guarded child process too. `connect` is for our own queries only: it may read any file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from tracemill.core.errors import CorpusError
from tracemill.corpus.place import Place
from tracemill.corpus.sql_child import Files
from tracemill.corpus.tables import SCHEMAS

SCHEMA = "_schema.parquet"
"""An empty file with all columns, beside the files of a table that got columns when it had rows already."""
_DEFAULTS = {("verdicts", "label_source"): "'gold'", ("traces", "interventions"): "[]"}
"""What NULL stands for in rows that were written before their table had the column."""
_WHOLE = {"drops": "every_drop"}
"""Names of the views with all rows, where views.sql makes one of those that stand."""
_MEMORY = "1GB"  # beyond it a query spills: 1,000,000 traces take 6.8 s of CPU to place, in 8 GB 6.1
_THREADS = 4  # each holds buffers of its own
_REMOTE_THREADS = 16  # they wait for the store rather than work
_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.list_(pa.string()): "VARCHAR[]",
    pa.list_(pa.float32()): "FLOAT[]",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def named_sql(name: str) -> str:
    """The text of `<name>.sql` in this package."""
    return (Path(__file__).parent / f"{name}.sql").read_text()


def statements(files: Mapping[str, Collection[str]]) -> str:
    """SQL that makes all views over these Parquet files. Times are shown in UTC, without a time zone."""
    views = [
        f"CREATE VIEW {_WHOLE.get(name, name)} AS SELECT {_columns(name)} FROM ({_rows(name, files[name])});"
        for name in SCHEMAS
    ]
    return "\n".join([*views, named_sql("views")])


def _columns(name: str) -> str:
    defaults = [f"coalesce({column}, {value}) AS {column}" for (of, column), value in _DEFAULTS.items() if of == name]
    replaced = ", ".join([*defaults, "created_at AT TIME ZONE 'UTC' AS created_at"])
    return f"* REPLACE ({replaced})"


def _rows(name: str, files: Collection[str]) -> str:
    """A table without files yet still has its columns; where older files lack some, the file SCHEMA names them all.

    Not a UNION with such a row of NULLs: DuckDB 2.0 then takes the table for tiny and joins it in ruinous orders.
    """
    if not files:
        columns = ", ".join(f"NULL::{_TYPES[field.type]} AS {field.name}" for field in SCHEMAS[name])
        return f"SELECT {columns} WHERE false"
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    is_mixed = any(file.endswith(f"/{SCHEMA}") for file in files)
    return f"FROM read_parquet([{quoted}]{', union_by_name = true' if is_mixed else ''})"


@dataclass(frozen=True, slots=True)
class Hidden:
    """The files of a corpus under names that do not tell where they are: `traces/0.parquet`."""

    urls: dict[str, list[str]]
    """By table, as SQL names them."""
    paths: dict[str, str]
    """What the names stand for."""
    sizes: dict[str, int]

    def mounted(self, ranges: Callable[[str, int, int], bytes], failures: list[str]) -> Files:
        """As a file system for DuckDB, in this process. What cannot be read is noted."""

        def fetch(name: str, start: int, length: int) -> bytes:
            try:
                return ranges(self.paths[name], start, length)
            except OSError as error:
                failures.append(str(error))
                raise

        return Files(self.sizes, fetch)


def hide(files: Mapping[str, Mapping[str, int]]) -> Hidden:
    """Name the files by table and number."""
    hidden = Hidden({}, {}, {})
    for table, sizes in files.items():
        hidden.urls[table] = []
        for number, (path, size) in enumerate(sizes.items()):
            name = f"{table}/{SCHEMA if path.endswith(f'/{SCHEMA}') else f'{number}.parquet'}"
            hidden.urls[table].append(f"corpus://{name}")
            hidden.paths[name], hidden.sizes[name] = path, size
    return hidden


@contextmanager
def connect(files: Mapping[str, Mapping[str, int]], place: Place) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with the views over these files, each with its size. What does not fit spills to a folder.

    What the disk, the store or the memory does not give is raised as CorpusError.
    """
    options: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "memory_limit": _MEMORY,
        "parquet_metadata_cache": True,
        "threads": min(_THREADS, os.cpu_count() or 1) if place.ranges is None else _REMOTE_THREADS,
    }
    failures: list[str] = []
    try:
        with (
            place.spill() as spill,
            duckdb.connect(config=options | {"temp_directory": str(spill)}) as connection,
        ):
            if place.ranges is None:
                connection.execute(statements(files))
            else:
                hidden = hide(files)
                connection.register_filesystem(hidden.mounted(place.ranges, failures))
                connection.execute(statements(hidden.urls))
            yield connection
    except duckdb.Error as error:
        if not failures and not isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
            raise
        cause = failures[0] if failures else str(error).splitlines()[0]
        raise CorpusError(f"{place.root}: cannot be read ({cause}); mend it, then run again") from error
