"""Where prompts come from: reasoning-gym tasks, JSONL, Parquet, a folder of the `datasets` library.

Every source yields prompts in a stable order; a row that cannot be a prompt is an InputError naming file and row.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError, nearest
from tracemill.core.ids import prompt_id
from tracemill.core.jsonl import json_rows
from tracemill.core.types import Prompt

PlacedRow = tuple[str, Mapping[str, Any]]
"""A row with the place where it stands, for messages: `file:line`, `file row 7`."""
_BATCH = 256
"""Rows of a Parquet file that are in memory at once; rows of long chains have 100 KB and more."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How the rows of a file become prompts: the names of the columns, and what holds for all rows."""

    text: str = "prompt"
    reference: str | None = "answer"
    """None where the file has no gold answers. A column that is named must be there, for the name may be misspelt."""
    verifier: str = "math"
    domain: str = "math"
    needs_reference: Callable[[Prompt], bool] = lambda prompt: True
    """Says of a prompt without gold answer whether its row is to be refused."""


def reasoning_gym_prompts(task: str, count: int, seed: int, options: Mapping[str, Any], where: str) -> Iterator[Prompt]:
    """`count` generated questions of one reasoning-gym task family; `options` are the family's own settings."""
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if task not in DATASETS:
        raise InputError(f"{where}.task: reasoning-gym has no task {task!r}{nearest(task, DATASETS)}")
    try:
        dataset = reasoning_gym.create_dataset(task, seed=seed, size=count, **options)
    except (TypeError, ValueError, AssertionError) as error:
        known = [name for name in DATASETS[task][1].__dataclass_fields__ if name not in ("seed", "size")]
        raise InputError(f"{where}.options: {task} refuses them: {error} (known: {', '.join(known)})") from error
    for entry in dataset:
        plain = json.loads(json.dumps(entry, default=str))
        reference = "" if plain["answer"] is None else str(plain["answer"])
        yield Prompt(
            id=prompt_id(plain["question"], "reasoning_gym", reference),
            text=plain["question"],
            domain=task,
            verifier="reasoning_gym",
            reference=reference,
            source=f"reasoning_gym:{task}",
            metadata={"task": task, "entry": plain},
        )


def jsonl_prompts(path: Path, columns: Columns, where: str) -> Iterator[Prompt]:
    """One prompt a line, plain or .gz; blank lines are passed over."""
    yield from _prompts(jsonl_rows(path, where), columns, path.name, where)


def parquet_prompts(path: Path, columns: Columns, where: str) -> Iterator[Prompt]:
    """One prompt a row of a Parquet file."""
    yield from _prompts(parquet_rows(path, where), columns, path.name, where)


def dataset_prompts(path: Path, split: str, columns: Columns, where: str) -> Iterator[Prompt]:
    """One prompt a row of a `datasets` folder: written by `save_to_disk`, or data files that `load_dataset` reads."""
    yield from _prompts(dataset_rows(path, split, where), columns, path.name, where)


def jsonl_rows(path: Path, where: str) -> Iterator[PlacedRow]:
    """The objects of a file, plain or .gz, with their places."""
    with _opened(path, where) as lines:
        yield from json_rows(lines, str(path))


def parquet_rows(path: Path, where: str) -> Iterator[PlacedRow]:
    """The rows of a Parquet file with their places, read in batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _require(path, where)
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{where}.path: {path} is not a Parquet file: {str(error).splitlines()[0]}") from error
    with file:
        rows = (row for batch in file.iter_batches(batch_size=_BATCH) for row in batch.to_pylist())
        yield from ((f"{path} row {number}", row) for number, row in enumerate(rows, 1))


def dataset_rows(path: Path, split: str, where: str) -> Iterator[PlacedRow]:
    """The rows of a `datasets` folder with their places."""
    import datasets

    _require(path, where)
    try:
        loaded = datasets.load_from_disk(str(path)) if is_saved(path) else datasets.load_dataset(str(path))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{where}.path: `datasets` cannot read {path}: {str(error).splitlines()[0]}") from error
    if isinstance(loaded, dict):
        if split not in loaded:
            raise InputError(f"{where}.split: {path} has no split {split!r}{nearest(split, loaded)}")
        loaded = loaded[split]
    yield from ((f"{path} row {number}", row) for number, row in enumerate(loaded, 1))


def is_saved(path: Path) -> bool:
    """Whether the folder was written by `save_to_disk`."""
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _require(path: Path, where: str) -> None:
    if not path.exists():
        raise InputError(f"{where}.path: no such file or folder: {path}")


def _opened(path: Path, where: str) -> Any:
    _require(path, where)
    try:
        return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{where}.path: cannot read {path}: {error.strerror}") from error


def _prompts(rows: Iterable[PlacedRow], columns: Columns, source: str, where: str) -> Iterator[Prompt]:
    """Rows with their places as prompts. Raises InputError for the first one that cannot be."""
    for number, (place, row) in enumerate(rows):
        _check_columns(row, columns, place, where, is_first=number == 0)
        yield _row_prompt(row, columns, place, source)


def _check_columns(row: Mapping[str, Any], columns: Columns, place: str, where: str, is_first: bool) -> None:
    """Refuses a row without a column that is named: the name is wrong, or it is the row where others have it."""
    for field, column in (("text", columns.text), ("reference", columns.reference)):
        if column is None or column in row:
            continue
        names = ", ".join(row)
        if not is_first:
            add = ' (null or "" where there is no gold answer)' if field == "reference" else ""
            raise InputError(f"{place}: this row lacks column {column!r}, rows before it have it; add it{add}")
        none = ", to null where there are no gold answers (verify.majority)" if field == "reference" else ""
        raise InputError(f"{place}: no column {column!r} (the row has: {names}); set {where}.columns.{field}{none}")


def _row_prompt(row: Mapping[str, Any], columns: Columns, place: str, source: str) -> Prompt:
    """The row as a prompt; its other columns become metadata."""
    text, reference = _cell(row, columns.text), _cell(row, columns.reference)
    if not text:
        raise InputError(f"{place}: column {columns.text!r} is empty")
    rest = {name: value for name, value in row.items() if name not in (columns.text, columns.reference)}
    prompt = Prompt(
        id=prompt_id(text, columns.verifier, reference),
        text=text,
        domain=columns.domain,
        verifier=columns.verifier,
        reference=reference,
        source=source,
        metadata=json.loads(json.dumps(rest, default=str)),
    )
    if not reference and columns.needs_reference(prompt):
        what = "no gold answer" if columns.reference is None else f"column {columns.reference!r} is empty"
        raise InputError(
            f"{place}: {what}, and {columns.verifier} needs one; add it, or let samples vote (verify.majority, with "
            "math, numeric, choice or exact)"
        )
    return prompt


def _cell(row: Mapping[str, Any], column: str | None) -> str:
    return "" if column is None else cell_text(row[column])


def cell_text(value: Any) -> str:
    """A cell's text as it stands; lists and objects (tests) as JSON; "" where it is null or blank."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str) if value else ""
    return "" if value is None or not str(value).strip() else str(value)
