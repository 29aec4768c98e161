"""The corpus as DuckDB sees it: one view for each table over its current files, and the views of `views.sql`.

`statements` serves the guarded child process too. `connect` is for our own queries only: it may read any file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from tracemill.core.errors import CorpusError
from tracemill.corpus.tables import SCHEMAS

SCHEMA = "_schema.parquet"
"""An empty file with all columns, beside the files of a table that got columns when it had rows already."""
_DEFAULTS = {("verdicts", "label_source"): "'gold'", ("traces", "interventions"): "[]"}
"""What NULL stands for in rows that were written before their table had the column."""
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


def statements(files: Mapping[str, Sequence[str]]) -> str:
    """SQL that makes all views over these Parquet files. Times are shown in UTC, without a time zone."""
    views = [f"CREATE VIEW {name} AS SELECT {_columns(name)} FROM ({_rows(name, files[name])});" for name in SCHEMAS]
    return "\n".join([*views, named_sql("views")])


def _columns(name: str) -> str:
    defaults = [f"coalesce({column}, {value}) AS {column}" for (of, column), value in _DEFAULTS.items() if of == name]
    replaced = ", ".join([*defaults, "created_at AT TIME ZONE 'UTC' AS created_at"])
    return f"* REPLACE ({replaced})"


def _rows(name: str, files: Sequence[str]) -> str:
    """A table without files yet still has its columns; where older files lack some, the file SCHEMA names them all.

    Not a UNION with such a row of NULLs: DuckDB 2.0 then takes the table for tiny and joins it in ruinous orders.
    """
    if not files:
        columns = ", ".join(f"NULL::{_TYPES[field.type]} AS {field.name}" for field in SCHEMAS[name])
        return f"SELECT {columns} WHERE false"
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    is_mixed = any(file.endswith(f"/{SCHEMA}") for file in files)
    return f"FROM read_parquet([{quoted}]{', union_by_name = true' if is_mixed else ''})"


@contextmanager
def connect(files: Mapping[str, Sequence[str]], spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with the views. Large sorts go to files under `spill`, removed on close.

    What the disk or the memory does not give is raised as CorpusError.
    """
    try:
        with duckdb.connect(config={"temp_directory": str(spill), "autoinstall_known_extensions": False}) as connection:
            connection.execute(statements(files))
            yield connection
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        cause = str(error).splitlines()[0]
        raise CorpusError(f"{spill.parent}: cannot be read ({cause}); mend it, then run again") from error
