"""The write-ahead log of a job on an object store: one object for each group of lines, under rising numbers.

Every put takes the first free number and fails where there is an object already, so that all runs of a job see one
sequence. A run begins by putting an empty object, a fence: a run before it that still writes, because it overslept its
lease or its put was under way for long, wants that very number, fails, and stops. Hence fences are never deleted.
What it had put before the fence is there for the new run, what it had not does not count. A table takes up the records
whose numbers are above the last one that it has taken up (Delta's application transaction), whoever appends them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

from tracemill.core.errors import CorpusError
from tracemill.corpus import wal
from tracemill.corpus.tables import Row

if TYPE_CHECKING:
    from tracemill.corpus.bucket import Bucket
    from tracemill.corpus.lease import Lease

_READERS = 16  # objects that are read at once


class BucketLog:
    """A `corpus.wal.Log`. Its first line says whose each object is."""

    def __init__(self, bucket: Bucket, job_id: str, lease: Lease, last: Callable[[], int]) -> None:
        self.count = 0
        self.size = 0
        self.opened = time.monotonic()
        self._bucket = bucket
        self._job_id = job_id
        self._lease = lease
        self._writer = uuid4().hex
        self._unsafe = False
        self._groups: dict[str, int] = {}
        while True:
            # Listed before the tables are asked: what another run deletes in between is in them by then.
            there = bucket.names(self._folder)
            self._number = max([*map(_number, there), last()])
            if self._put(self._number + 1, []):
                break
        if bucket.put_if(f"{self._folder}/{self._number:012d}", self._object([]) + b"\n", None) is not None:
            raise CorpusError(
                f"{bucket.root}: the store ignores If-None-Match, so jobs could overwrite each other; use another"
            )

    @property
    def _folder(self) -> str:
        return f"ledger/{self._job_id}/log"

    def append(self, lines: Sequence[bytes]) -> None:
        self._lease.check()
        if self._unsafe:
            raise CorpusError(f"{self._bucket.root}: an earlier write may or may not have gone through; run again")
        self._unsafe = True
        with self._bucket.writing(self._folder):
            if not self._put(self._number + 1, lines):
                self._lease.lose()
                self._lease.check()
        self._unsafe = False
        self.opened = self.opened if self.count else time.monotonic()
        self.count += len(lines)
        self.size += sum(map(len, lines))

    def roll(self) -> None:
        self._lease.check()
        self.count = self.size = 0

    def closed(self) -> Iterator[tuple[int, wal.Records]]:
        with self._bucket.reading(), ThreadPoolExecutor(_READERS, "log") as readers:
            names = self._bucket.names(self._folder)
            read = list(readers.map(self._read, names))
        self._groups = {name: _number(name) for name, records in zip(names, read, strict=True) if records}
        if self._groups:
            yield (
                max(self._groups.values()),
                [(_number(name), record) for name, records in zip(names, read, strict=True) for record in records],
            )

    def drop(self, number: int) -> None:
        with self._bucket.writing(self._folder):
            self._bucket.delete([name for name, of in self._groups.items() if of <= number])

    def close(self) -> None:
        self._lease.release()

    def _put(self, number: int, lines: Sequence[bytes]) -> bool:
        """Whether this run's object now has that number."""
        if self._bucket.put_if(f"{self._folder}/{number:012d}", self._object(lines), None) is None:
            return False
        self._number = number
        return True

    def _object(self, lines: Sequence[bytes]) -> bytes:
        return b"".join([wal.encode({"writer": self._writer, "lines": len(lines)}), *lines])

    def _read(self, name: str) -> list[Row]:
        found = self._bucket.get(name)
        if found is None:  # another run has just dropped it: it is in the tables
            return []
        head, *records = wal.decode(found.data, f"{self._bucket.root}/{name}") or [{"lines": -1}]
        if len(records) != head["lines"]:
            raise CorpusError(f"{self._bucket.root}/{name}: damaged; mend or remove it, then run again")
        return records


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])
