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

_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.list_(pa.string()): "VARCHAR[]",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def named_sql(name: str) -> str:
    """The text of `<name>.sql` in this package."""
    return (Path(__file__).parent / f"{name}.sql").read_text()


def statements(files: Mapping[str, Sequence[str]]) -> str:
    """SQL that makes all views over these Parquet files. Times are shown in UTC, without a time zone."""
    views = [
        f"CREATE VIEW {name} AS SELECT * REPLACE (created_at AT TIME ZONE 'UTC' AS created_at) FROM "
        f"{_scan(files[name]) if files[name] else _nothing(name)};"
        for name in SCHEMAS
    ]
    return "\n".join([*views, named_sql("views")])


def _scan(files: Sequence[str]) -> str:
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{quoted}])"


def _nothing(name: str) -> str:
    """A table without files yet still has its columns."""
    columns = ", ".join(f"NULL::{_TYPES[field.type]} AS {field.name}" for field in SCHEMAS[name])
    return f"(SELECT {columns} WHERE false)"


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
