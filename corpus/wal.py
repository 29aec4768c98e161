"""Write-ahead logs: lines `crc32 JSON`, durable in groups; in a folder, segments with one fsync for each group.

A segment's end may be torn by a kill or a full disk and is then ignored; a bad line before the end is damage and is
reported. Knows nothing of what the lines mean. The log of a corpus on an object store is in `corpus.bucket_log`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from tracemill.core.errors import CorpusError
from tracemill.corpus.disk import durable, sync


def encode(record: dict[str, Any]) -> bytes:
    """One line. ASCII only, so neither a line feed nor U+2028 in a text can end it."""
    body = json.dumps(record, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a segment without its torn end. Raises CorpusError naming the line that is damaged."""
    return decode(path.read_bytes(), str(path))


def decode(data: bytes, name: str) -> list[dict[str, Any]]:
    """The records of these lines, read from `name`."""
    lines = data.split(b"\n")
    lines.pop()  # what follows the last line feed: nothing, or a torn line
    records = []
    for number, line in enumerate(lines, 1):
        body = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(body):
            if number == len(lines):
                break
            raise CorpusError(f"{name}, line {number}: damaged; mend or remove that line, then run again")
        records.append(json.loads(body))
    return records


class Segment:
    """The segment that is being written. `size` bytes and `count` records of it are durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.size = 0
        self.torn = False
        """A group that failed could not be removed again: it may be durable or not."""
        self.opened = time.monotonic()
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        # On NFS the lock makes writes fail (EIO) once the server has given this client up and let another run in.
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        sync(path.parent)

    def append(self, lines: Sequence[bytes]) -> None:
        """Make the lines durable, all or none. Raises OSError; see `torn`."""
        data = b"".join(lines)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError:
            self.torn = True
            os.ftruncate(self._handle, self.size)
            os.fsync(self._handle)
            self.torn = False
            raise
        self.size += len(data)
        self.count += len(lines)

    def close(self) -> None:
        os.close(self._handle)


Records = list[tuple[int, dict[str, Any]]]


class Log(Protocol):
    """The write-ahead log of one run of a job, which holds the job's lock. Records carry rising numbers."""

    @property
    def count(self) -> int:
        """Lines that were appended since the last `roll`."""
        ...

    @property
    def size(self) -> int:
        """Bytes of them."""
        ...

    @property
    def opened(self) -> float:
        """When the first of them was, by `time.monotonic`."""
        ...

    def append(self, lines: Sequence[bytes]) -> None:
        """Make the lines durable, all or none. Raises CorpusError."""
        ...

    def roll(self) -> None:
        """What was appended so far is now closed; what follows has a higher number."""
        ...

    def closed(self) -> Iterator[tuple[int, Records]]:
        """What is closed, in parts: the highest number of each, and its records with their numbers."""
        ...

    def drop(self, number: int) -> None:
        """Forget the part of that highest number, which is in the tables."""
        ...

    def close(self) -> None:
        """Give the lock back."""
        ...


class FolderLog:
    """A log of segments in a folder; all records of a segment carry the segment's number."""

    def __init__(self, folder: Path, lock: int, last: int) -> None:
        self._folder = folder
        self._lock = lock
        self._number = max([last, *(int(path.stem) for path in self._paths())])
        self._segment: Segment | None = None
        self._unsafe = False

    @property
    def count(self) -> int:
        return self._segment.count if self._segment else 0

    @property
    def size(self) -> int:
        return self._segment.size if self._segment else 0

    @property
    def opened(self) -> float:
        return self._segment.opened if self._segment else time.monotonic()

    def append(self, lines: Sequence[bytes]) -> None:
        if self._unsafe:
            raise CorpusError(f"{self._folder}: an earlier write could not be undone; run again")
        with durable(self._folder):
            if self._segment is None:
                self._number += 1
                self._segment = Segment(self._folder / f"{self._number:08d}.jsonl")
            try:
                self._segment.append(lines)
            finally:
                # What may or may not be durable must not be followed by the same samples again.
                self._unsafe = self._segment.torn

    def roll(self) -> None:
        if self._segment:
            self._segment.close()
            self._segment = None

    def closed(self) -> Iterator[tuple[int, Records]]:
        for path in self._paths():
            number = int(path.stem)
            yield number, [(number, record) for record in read(path)]

    def drop(self, number: int) -> None:
        with durable(self._folder):
            (self._folder / f"{number:08d}.jsonl").unlink()
            sync(self._folder)

    def close(self) -> None:
        os.close(self._lock)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))
