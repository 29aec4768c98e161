"""The short-lived process that runs one untrusted query; started by `corpus.sql`, which kills it at the deadline.

DuckDB reaches nothing but `Files`, a read-only file system of our own that knows the corpus' data files under names
that say nothing of where they lie. That it cannot write is what counts: DuckDB 2.0 types `WITH a AS (COPY … TO …)
SELECT …` as a SELECT, and its `allowed_paths` are writable. Stands alone: nothing of tracemill is imported, for speed.
"""

from __future__ import annotations

import base64
import io
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from queue import SimpleQueue
from threading import local
from typing import Any
from uuid import UUID

import duckdb
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

_BATCH = 100  # rows fetched at once: bounds what a wide row can cost before the byte cap is looked at


class Ranged(io.RawIOBase):
    """An open file of which any range can be had.

    DuckDB's threads share it and each seeks before it reads, so each thread has a place of its own: with one place for
    all, a thread reads where another one wanted to (duckdb 2.0.0, in two of three queries over 20 files).
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._place = local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        at: int = getattr(self._place, "at", 0)
        return at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        return self.tell()

    def read(self, length: int = -1) -> bytes:
        at = self.tell()
        left = max(0, self._size - at)
        data = self._fetch(at, left if length < 0 else min(length, left)) if left else b""
        self._place.at = at + len(data)
        return data


class Files(AbstractFileSystem):  # type: ignore[misc]
    """Exactly the given files, for reading: (name, start, length) → bytes."""

    protocol = "corpus"
    cachable = False

    def __init__(self, sizes: Mapping[str, int], fetch: Callable[[str, int, int], bytes]) -> None:
        super().__init__()
        self._sizes = sizes
        self._fetch = fetch

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Ranged:
        if mode != "rb":
            raise PermissionError("the corpus is read-only")
        name = path.removeprefix("corpus://")
        return Ranged(partial(self._fetch, name), self._size(name))

    def _size(self, name: str) -> int:
        if name not in self._sizes:
            raise FileNotFoundError(name)
        return self._sizes[name]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._size(path.removeprefix("corpus://")), "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return path.removeprefix("corpus://") in self._sizes

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> datetime:
        """They never change."""
        return datetime(2000, 1, 1, tzinfo=UTC)


class Paths:
    """Reads local files by path."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths

    def __call__(self, name: str, start: int, length: int) -> bytes:
        try:
            handle = os.open(self._paths[name], os.O_RDONLY)
            try:
                return os.pread(handle, length, start)
            finally:
                os.close(handle)
        except OSError as error:  # without the real path
            raise OSError(f"{name}: {error.strerror or 'no such file'}") from None


class Pipes:
    """Asks the parent, which holds the store's credentials: this process has neither those nor a way to the store."""

    def __init__(self, handles: Sequence[int]) -> None:
        from multiprocessing.connection import Connection

        self._free: SimpleQueue[Connection[bytes, bytes]] = SimpleQueue()
        for handle in handles:
            self._free.put(Connection(handle))

    def __call__(self, name: str, start: int, length: int) -> bytes:
        pipe = self._free.get()
        try:
            pipe.send_bytes(encode([name, start, length]))
            answer = pipe.recv_bytes()
        finally:
            self._free.put(pipe)
        if answer[:1] != b"+":
            raise OSError(f"{name}: cannot be read")
        return answer[1:]


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
    fetch = Pipes(request["pipes"]) if request["pipes"] else Paths(request["paths"])
    connection.register_filesystem(Files(request["sizes"], fetch))
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(request["views"])
    names = ", ".join(f"'corpus://{name}'" for name in request["sizes"])
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
