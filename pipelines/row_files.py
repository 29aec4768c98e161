"""Writes rows to Parquet or JSON Lines files, which appear whole or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from tracemill.core.errors import InputError, SetupError

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
def writing(path: Path, option: str, like: Sequence[Path], added: Sequence[str]) -> Iterator[Out]:
    """A new file, or one in the place of an older one, at the end of the block; of the kind that its name says.

    Parquet gets the columns of the Parquet files `like` and the text columns `added`; without such files, the columns
    of its first rows. Raises InputError, naming the option, for another kind of name or rows of other types, and
    SetupError where it cannot be written.
    """
    if path.suffix != ".parquet" and not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"{option}: {path} must end in .parquet, .jsonl or .jsonl.gz")
    part = path.with_name(f".{path.name}.part")
    try:
        part.touch()
        with ExitStack() as opened:
            if path.suffix == ".parquet":
                parquet = _Parquet(part, option, _schema(like, added))
                opened.callback(parquet.close)
                yield parquet
                parquet.flush()
            elif path.suffix == ".gz":
                yield _Lines(opened.enter_context(gzip.open(part, "wt", encoding="utf-8")))
            else:
                yield _Lines(opened.enter_context(part.open("w", encoding="utf-8")))
        part.replace(path)
    except OSError as error:
        raise SetupError(f"{option}: cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _schema(like: Sequence[Path], added: Sequence[str]) -> pa.Schema | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not like:
        return None
    try:
        known = pa.unify_schemas([pq.read_schema(path) for path in like], promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"the files' columns differ in type: {error}; sift them one by one") from error
    for name in added:
        if name in known.names:
            known = known.remove(known.get_field_index(name))
        known = known.append(pa.field(name, pa.string()))
    return known.remove_metadata()


@dataclass(slots=True)
class _Lines:
    file: IO[str]

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


@dataclass(slots=True)
class _Parquet:
    path: Path
    option: str
    schema: pa.Schema | None
    held: list[Row] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None

    def write(self, row: Row) -> None:
        self.held.append(row)
        if len(self.held) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is held; the first time, a file even of nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pa.Table.from_pylist(self.held, schema=self.schema)
        except (pa.ArrowException, TypeError) as error:
            raise InputError(f"{self.option}: rows differ in type: {error}; write .jsonl instead") from error
        self.schema = table.schema
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self.writer.write_table(table)
        self.held.clear()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
