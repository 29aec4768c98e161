"""Reads benchmarks: JSONL (plain or .gz), Parquet, a folder that `datasets` saved. Ships none.

A row is an item; its question and its solution are parts of it, each looked for by itself. Columns are found by the
names that benchmarks use, or named. All of a benchmark is kept in memory.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.jsonl import json_rows

QUESTIONS = ("problem", "question", "prompt", "instruction", "text", "input")
"""Columns that hold the question; the first that a file has is taken."""
SOLUTIONS = (
    "solution", "canonical_solution", "reference_solution", "ground_truth_solution", "rationale", "explanation",
    "answer", "code",
)  # fmt: skip
"""Columns that hold solutions; all that a file has are taken. What is shorter than n words is not looked for."""
IDS = ("id", "task_id", "unique_id", "question_id", "problem_id")
_ROWS = 256
"""Rows of a Parquet file that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a benchmark."""

    benchmark: str
    """Stem of its file, or name of its folder."""
    item: str
    """Id of the item, else `row 7`."""
    column: str
    text: str
    is_question: bool


def parts_of(path: Path, columns: Sequence[str], where: str, where_columns: str) -> Iterator[Part]:
    """The parts of a benchmark's items. Raises InputError naming the place and the option that gave path or columns.

    `columns`: the question's, then solutions'; empty: those with known names.
    """
    name, chosen, number = stem(path), tuple(columns), 0
    for number, (place, row) in enumerate(rows_of(path, where), 1):
        here = chosen or _known_columns(row, place, where_columns)
        for column in chosen:
            if column not in row:
                raise InputError(f"{place}: no column {column!r} (the row has: {', '.join(row)}); set {where_columns}")
        item = next((str(row[key]) for key in IDS if row.get(key) not in (None, "")), f"row {number}")
        for column in here:
            if text := text_of(row[column]):
                yield Part(name, item, column, text, column == here[0])
    if not number:
        raise InputError(f"{where}: {path} has no rows")


def rows_of(path: Path, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a file or of a folder of `datasets` (all splits) with their places, one after the other."""
    if not path.exists():
        raise InputError(f"{where}: no such file or folder: {path}")
    if path.is_dir():
        yield from _dataset_rows(path, where)
    elif path.suffix == ".parquet":
        yield from _parquet_rows(path, where)
    elif path.name.endswith((".jsonl", ".jsonl.gz", ".json", ".ndjson")):
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            yield from json_rows(lines, str(path))
    else:
        raise InputError(f"{where}: {path.name} is no .jsonl, .jsonl.gz, .parquet, nor a folder that `datasets` saved")


def text_of(value: Any) -> str:
    """All text in a cell: of a list or an object (chat turns), its texts on lines of their own; "" for null."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Iterable):
        return "\n".join(filter(None, map(text_of, value)))
    return "" if value is None else str(value)


def stem(path: Path) -> str:
    """The name that a benchmark goes by."""
    return path.absolute().name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".parquet")


def _known_columns(row: Mapping[str, Any], place: str, where_columns: str) -> tuple[str, ...]:
    question = next((name for name in QUESTIONS if name in row), None)
    if question is None:
        raise InputError(
            f"{place}: no column is known to hold a question (the row has: {', '.join(row)}); name it: {where_columns}"
        )
    return (question, *(name for name in SOLUTIONS if name in row))


def _parquet_rows(path: Path, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{where}: {path} is not a Parquet file: {str(error).splitlines()[0]}") from error
    with file:
        rows = (row for batch in file.iter_batches(batch_size=_ROWS) for row in batch.to_pylist())
        yield from ((f"{path} row {number}", row) for number, row in enumerate(rows, 1))


def _dataset_rows(path: Path, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{where}: `datasets` did not save {path}: {str(error).splitlines()[0]}") from error
    splits = loaded.values() if isinstance(loaded, dict) else [loaded]
    rows = (row for split in splits for row in split)
    yield from ((f"{path} row {number}", row) for number, row in enumerate(rows, 1))
