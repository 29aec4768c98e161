"""Recorded completions: what JSONL, Parquet and `datasets` files hold of each prompt, found again by prompt and number.

A `Survey` reads a recording through and keeps counts only; a `Recording` also puts the completions into a temporary
file without a name (in TMPDIR), which is gone when the process ends, however it ends. Memory is some 150 bytes a prompt
and, in a `Recording`, 8 bytes a completion, whatever the texts. `factory.engines.replay` replays them.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from types import TracebackType
from typing import Literal

from tracemill.core.errors import InputError, RefusedRequest
from tracemill.core.spool import Spool
from tracemill.core.types import Prompt
from tracemill.factory import sources
from tracemill.factory.chat import Chat
from tracemill.factory.layouts import OPENR1_MATH, ColumnLayout, Common, Layout, Recorded, Row
from tracemill.factory.openthoughts import OpenThoughts
from tracemill.factory.sources import PlacedRow

LayoutName = Literal["columns", "openr1_math", "openthoughts", "chat"]
LAYOUTS: Mapping[LayoutName, Layout] = {
    "columns": ColumnLayout(),
    "openr1_math": OPENR1_MATH,
    "openthoughts": OpenThoughts(),
    "chat": Chat(),
}
"""By the names that recipes use; those of `columns` are the recipe's own."""
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_SIZE = 4
"""Bytes that say how long a completion is, before each."""


@dataclass(frozen=True, slots=True)
class Source:
    """Files of recorded completions and how their rows are read."""

    path: Path
    """File, folder of files, or folder written by `datasets`."""
    layout: Layout
    where: str = "prompts"
    """Field of the recipe, for messages."""
    split: str = "train"
    limit: int | None = None
    """Only the first so many rows."""
    verifier: str | None = None
    domain: str | None = None
    model: str | None = None
    """What wrote the completions, where their rows do not say it."""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Each row with its place, in file order. Raises InputError for the first that cannot be read."""
        common = Common(self.path.name, self.where, self.verifier, self.domain, self.model)
        for place, row in islice(file_rows(self.path, self.split, self.where), self.limit):
            yield place, self.layout.row(row, place, common)


def file_rows(path: Path, split: str, where: str) -> Iterator[PlacedRow]:
    """The rows of a file; of a folder those of its files in the order of their names.

    Where a folder has files that are named after the split (`train-00000.parquet`), the others are left out.
    """
    if not path.is_dir():
        yield from _rows(path, where)
        return
    if sources.is_saved(path):
        yield from sources.dataset_rows(path, split, where)
        return
    files = sorted(file for file in path.iterdir() if file.name.endswith(_SUFFIXES))
    if not files:
        inside = sorted(one.name for one in path.iterdir() if one.is_dir())
        remedy = f"; name one of its folders: {', '.join(inside)}" if inside else ""
        raise InputError(f"{where}.path: {path} has no file that ends in {', '.join(_SUFFIXES)}{remedy}")
    of_split = [file for file in files if file.name.startswith((f"{split}-", f"{split}."))]
    for file in of_split or files:
        yield from _rows(file, where)


def _rows(path: Path, where: str) -> Iterator[PlacedRow]:
    if path.suffix == ".parquet":
        return sources.parquet_rows(path, where)
    if not path.exists() or path.name.endswith(_SUFFIXES):
        return sources.jsonl_rows(path, where)
    raise InputError(f"{where}.path: {path} must end in {', '.join(_SUFFIXES)}")


@dataclass(slots=True)
class PassedOver:
    """Completions that are none, for one reason."""

    count: int
    first: str
    """Place of the first one."""


class Survey:
    """What a recording holds, without its texts."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        """Place of each prompt's count, by its id."""
        self.counts = array("Q")
        """Completions of each prompt."""
        self._digest = hashlib.blake2b(digest_size=16)
        self.without_tokens = 0
        """Completions whose number of tokens was not recorded."""
        self.passed_over: dict[str, PassedOver] = {}

    def prompts(self, source: Source) -> Iterator[Prompt]:
        """Reads a source and yields its prompts, each the first time that the survey meets it."""
        for place, row in source.rows():
            before = len(self.counts)
            number, _ = self.add(place, row)
            if number == before:
                yield row.prompt

    def add(self, place: str, row: Row) -> tuple[int, list[bytes]]:
        """Counts a row. Returns the number of its prompt, and its completions as they are kept."""
        key = bytes.fromhex(row.prompt.id)
        number = self.numbers.setdefault(key, len(self.counts))
        if number == len(self.counts):
            self.counts.append(0)
        self.counts[number] += len(row.completions)
        records = [_record(one) for one in row.completions]
        for record in records:
            self._digest.update(key + record)
        self.without_tokens += sum(one.completion_tokens is None for one in row.completions)
        for reason in row.passed_over:
            self.passed_over.setdefault(reason, PassedOver(0, place)).count += 1
        return number, records

    def count(self, prompt_id: str) -> int:
        """Number of completions recorded of a prompt; 0 for one that is not there."""
        number = self.numbers.get(bytes.fromhex(prompt_id))
        return 0 if number is None else self.counts[number]

    @property
    def completions(self) -> int:
        """Number of all completions."""
        return sum(self.counts)

    @property
    def most(self) -> int:
        """The largest number of completions of one prompt."""
        return max(self.counts, default=0)

    @property
    def digest(self) -> str:
        """Id of all completions read so far: the same prompts with other completions are another recording."""
        return self._digest.hexdigest()

    def lines(self, samples: int) -> Iterator[str]:
        """What a person should know, where `samples` of each prompt are replayed."""
        yield f"{self.completions:,} completions of {len(self.counts):,} prompts are recorded"
        if unused := sum(max(0, count - samples) for count in self.counts):
            yield f"{unused:,} of them are beyond the first {samples:,} of their prompt and stay unused"
        if self.without_tokens:
            yield f"{self.without_tokens:,} of them come without token count: estimated as characters / 4"
        for reason, one in self.passed_over.items():
            yield f"{one.count:,} passed over: {reason} (first: {one.first})"


class Recording:
    """The completions of all sources, each found by its prompt and number. Use it as a context manager."""

    def __init__(self, found: Iterable[Source]) -> None:
        """Reads the sources through. Raises InputError for what cannot be read, SetupError where the disk is full."""
        self.survey = Survey()
        self._spool = Spool()
        try:
            self._index(found)
        except BaseException:
            self._spool.close()
            raise

    def _index(self, found: Iterable[Source]) -> None:
        owners, offsets = array("L"), array("Q")
        for source in found:
            for place, row in source.rows():
                number, records = self.survey.add(place, row)
                for record in records:
                    owners.append(number)
                    offsets.append(self._spool.size)
                    self._spool.write(record)
        self._spool.seal()
        counts = self.survey.counts
        self._ends = array("Q", accumulate(counts))
        # Those of one prompt together, in file order: 8 bytes each are all that stays.
        free = array("Q", (end - count for end, count in zip(self._ends, counts, strict=True)))
        self._offsets = array("Q", bytes(8 * len(offsets)))
        for owner, offset in zip(owners, offsets, strict=True):
            self._offsets[free[owner]] = offset
            free[owner] += 1

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the disk back."""
        self._spool.close()

    def completion(self, prompt_id: str, sample: int) -> Recorded:
        """The completion of that number, from 0 in file order. Raises RefusedRequest where there is none."""
        number = self.survey.numbers.get(bytes.fromhex(prompt_id))
        count = 0 if number is None else self.survey.counts[number]
        if number is None or not 0 <= sample < count:
            raise RefusedRequest(f"only {count:,} completions were recorded")
        offset = self._offsets[self._ends[number] - count + sample]
        start = offset + _SIZE
        size = int.from_bytes(self._spool.read(offset, start), "big")
        return Recorded(*json.loads(self._spool.read(start, start + size)))


def _record(one: Recorded) -> bytes:
    """A completion as it lies in the file, its size before it. JSON in ASCII holds every text, lone surrogates too."""
    values = (one.text, one.reasoning, one.model, one.prompt_tokens, one.completion_tokens, one.finish_reason)
    data = json.dumps(values).encode("ascii")
    return len(data).to_bytes(_SIZE, "big") + data
