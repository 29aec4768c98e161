"""Writes rows to Parquet or JSON Lines files, which appear whole or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from tracemill.core.errors import InputError, SetupError
from tracemill.corpus.tables import clean
from tracemill.pipelines.traces_of_files import mapped

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Row = Mapping[str, Any]

_BATCH = 500
"""Rows that a Parquet writer holds; long chains have 100 kB."""


class Out(Protocol):
    """What rows are written to."""

    def write(self, row: Row) -> None: ...


@contextmanager
def writing(
    path: Path, option: str, known: pa.Schema | None, added: Sequence[str], without: Sequence[str] = ()
) -> Iterator[Out]:
    """A new file, or one in the place of an older one, at the end of the block; of the kind that its name says.

    Parquet gets the columns `known`, but those `without`, and the text columns `added`. Raises InputError, naming the
    option, for another kind of name, and SetupError where it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    with _told(option, path):
        out = _opened(path, part, option, known, added, without)
    try:
        yield _Told(out, option, path)
        with _told(option, path):
            out.finish()
            part.replace(path)
    finally:
        with _told(option, path):
            out.close()
            part.unlink(missing_ok=True)


@contextmanager
def _told(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(f"{option}: cannot write {path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Told:
    """Says which file it is that cannot be written."""

    out: _Lines | _Parquet
    option: str
    path: Path

    def write(self, row: Row) -> None:
        with _told(self.option, self.path):
            self.out.write(row)


def _opened(
    path: Path, part: Path, option: str, known: pa.Schema | None, added: Sequence[str], without: Sequence[str]
) -> _Lines | _Parquet:
    if path.suffix == ".parquet":
        import pyarrow as pa

        assert known is not None
        part.touch()
        kept = [column for column in known if column.name not in (*added, *without)]
        return _Parquet(part, pa.schema([*kept, *(pa.field(name, pa.string()) for name in added)]))
    if path.name.endswith(".jsonl"):
        return _Lines(part.open("w", encoding="utf-8", errors="backslashreplace"))
    if path.name.endswith(".jsonl.gz"):
        return _Lines(gzip.open(part, "wt", encoding="utf-8", errors="backslashreplace"))
    raise InputError(f"{option}: {path} must end in .parquet, .jsonl or .jsonl.gz")


def schema_of_parquet(paths: Iterable[Path]) -> pa.Schema:
    """The columns of all these files together. Raises InputError where they are of different types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = pa.schema([])
    for path in paths:
        try:
            known = pa.unify_schemas([known, pq.read_schema(path)], promote_options="permissive")
        except FileNotFoundError as error:
            raise InputError(f"sift.path: no such file or folder: {path}") from error
        except pa.ArrowTypeError as error:
            raise InputError(f"{path}: its columns differ in type from those before ({error}); write .jsonl") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"sift.path: {path} is not a Parquet file: {str(error).splitlines()[0]}") from error
    return known


def schema_of_rows(rows: Iterable[Row], path: Path) -> pa.Schema:
    """The columns that these rows have. Raises InputError where a column holds values of different types."""
    import pyarrow as pa

    rest, known = iter(rows), pa.schema([])
    while batch := list(islice(rest, _BATCH)):
        names = dict.fromkeys(name for row in batch for name in row)
        try:
            whole = pa.Table.from_pylist([_encodable({name: row.get(name) for name in names}) for row in batch])
            known = pa.unify_schemas([known, whole.schema], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(f"{path}: a column holds values of different types ({error}); write .jsonl") from error
    return known


def _encodable(row: Row) -> Row:
    """Without lone surrogates, which Parquet cannot hold."""
    return {name: mapped(value, clean) for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class _Lines:
    """JSON keeps lone surrogates, as escapes."""

    file: IO[str]

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def finish(self) -> None:
        self.file.close()

    def close(self) -> None:
        self.file.close()


@dataclass(slots=True)
class _Parquet:
    path: Path
    schema: pa.Schema
    held: list[Row] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None

    def write(self, row: Row) -> None:
        self.held.append(row)
        if len(self.held) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, self.schema, compression="zstd")
        self.writer.write_table(pa.Table.from_pylist([*map(_encodable, self.held)], schema=self.schema))
        self.held.clear()

    def finish(self) -> None:
        if self.writer is None or self.held:
            self._flush()
        self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
