"""The short-lived process that runs one untrusted query; started by `corpus.sql`, which kills it at the deadline.

DuckDB reaches nothing but `Files`, a read-only file system of our own that knows the corpus' data files under names
that say nothing of where they lie. That it cannot write is what counts: DuckDB 2.0 types `WITH a AS (COPY … TO …)
SELECT …` as a SELECT, and its `allowed_paths` are writable. Stands alone: nothing of tracemill is imported, for speed.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import duckdb
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

_BATCH = 100  # rows fetched at once: bounds what a wide row can cost before the byte cap is looked at


class Files(AbstractFileSystem):  # type: ignore[misc]
    """Exactly the given files, for reading."""

    protocol = "corpus"
    cachable = False

    def __init__(self, paths: dict[str, str]) -> None:
        super().__init__()
        self._paths = paths

    def _real(self, name: str) -> str:
        name = name.removeprefix("corpus://")
        if name not in self._paths:
            raise FileNotFoundError(name)
        return self._paths[name]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> IO[bytes]:
        if mode != "rb":
            raise PermissionError("the corpus is read-only")
        try:
            return open(self._real(path), "rb")
        except OSError as error:
            raise _nameless(error, path) from None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._stat(path).st_size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return path.removeprefix("corpus://") in self._paths

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self._stat(path).st_mtime, UTC)

    def _stat(self, path: str) -> os.stat_result:
        try:
            return os.stat(self._real(path))
        except OSError as error:
            raise _nameless(error, path) from None


def _nameless(error: OSError, name: str) -> OSError:
    """The error without the real path."""
    return OSError(f"{name}: {error.strerror or 'no such file'}")


def connect(request: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """A locked database with the views made."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": f"{request['memory_mb']}MB",
            "python_enable_replacements": "false",
            "secret_directory": "",
            "temp_directory": "",
            "threads": "2",
        }
    )
    connection.register_filesystem(Files(request["files"]))
    connection.execute(request["views"])
    names = ", ".join(f"'corpus://{name}'" for name in request["files"])
    connection.execute(f"SET allowed_paths = [{names}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    connection.execute("BEGIN TRANSACTION READ ONLY")
    return connection


def limit(seconds: float, memory_mb: int) -> None:
    """From here on: no file can grow, and memory and CPU time end."""
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    memory = mapped + memory_mb * 2**20
    cpu = int(seconds * 2) + 1  # two threads
    for kind, value in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(kind, (value, value))


def single_select(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The statement, if it is one that reads. Raises ValueError."""
    found = connection.extract_statements(sql)
    if len(found) != 1:
        raise ValueError(f"give one statement, not {len(found)}")
    if found[0].type != duckdb.StatementType.SELECT:
        raise ValueError(f"only SELECT is allowed here, not {found[0].type.name}")
    return found[0].query


def plain(value: Any) -> Any:
    """A value of DuckDB as JSON has it: times as ISO text, decimals as floats, bytes as base64, keys as text."""
    match value:
        case list() | tuple():
            return [plain(part) for part in value]
        case dict():
            return {str(key): plain(part) for key, part in value.items()}
        case Decimal():
            return float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value


def lines(connection: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> Iterator[bytes]:
    """A header, a line for each row within the caps, and a footer, as JSON."""
    connection.execute(single_select(connection, request["sql"]))
    described = connection.description or []
    yield encode({"columns": [column[0] for column in described], "types": [str(column[1]) for column in described]})
    left, count = request["bytes"], 0
    while batch := connection.fetchmany(min(_BATCH, request["rows"] + 1 - count)):
        for row in batch:
            line = encode([plain(value) for value in row])
            count, left = count + 1, left - len(line)
            if count > request["rows"] or left < 0:
                yield encode({"truncated": True})
                return
            yield line
    yield encode({"truncated": False})


def encode(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def main() -> None:
    request = json.load(sys.stdin)
    out = sys.stdout.buffer
    try:
        connection = connect(request)
    except duckdb.Error as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        os._exit(1)
    try:
        limit(request["seconds"], request["memory_mb"])
        out.writelines(lines(connection, request))
    except (duckdb.OutOfMemoryException, MemoryError):
        out.write(encode({"memory": True}))
    except (duckdb.Error, ValueError) as error:
        out.write(encode({"error": str(error)}))
    out.flush()
    os._exit(0)  # nothing to put away; DuckDB's own teardown costs time


if __name__ == "__main__":
    main()
