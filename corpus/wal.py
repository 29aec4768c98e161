"""Write-ahead segments: files of lines `crc32 JSON`, appended in groups with one fsync for each group.

A segment's end may be torn by a kill or a full disk and is then ignored; a bad line before the end is damage and is
reported. Knows nothing of what the lines mean.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracemill.core.errors import CorpusError
from tracemill.corpus.disk import sync


def encode(record: dict[str, Any]) -> bytes:
    """One line. ASCII only, so neither a line feed nor U+2028 in a text can end it."""
    body = json.dumps(record, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a segment without its torn end. Raises CorpusError naming the line that is damaged."""
    lines = path.read_bytes().split(b"\n")
    lines.pop()  # what follows the last line feed: nothing, or a torn line
    records = []
    for number, line in enumerate(lines, 1):
        body = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(body):
            if number == len(lines):
                break
            raise CorpusError(f"{path}, line {number}: damaged; mend or remove that line, then run again")
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
