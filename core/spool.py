"""Bytes in a temporary file without a name: gone when the process ends, however it ends. Written once, then read."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref

from tracemill.core.errors import SetupError

BUFFER = 2**20
KEPT = 512
"""Reads after which the pages that they brought in are let go: up to 64 kB each, for the kernel maps some around."""


class Spool:
    """Append with `write`, call `seal`, then `read` from any thread.

    Read by memory mapping, not `pread`: a system call gives Python's lock away, and a busy event loop then waits up to
    5 ms for each thread that computes.
    """

    def __init__(self) -> None:
        self._file, name = tempfile.mkstemp()
        os.unlink(name)
        self._close = weakref.finalize(self, os.close, self._file)
        self._buffer = bytearray()
        self.size = 0
        """Bytes written."""
        self._map: mmap.mmap | None = None
        self._reads = 0

    def write(self, data: bytes) -> None:
        """Append. Raises SetupError where there is no room."""
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) >= BUFFER:
            self._flush()

    def seal(self) -> None:
        """Nothing more is written; from now on it can be read."""
        self._flush()
        if self.size:
            self._map = mmap.mmap(self._file, self.size, access=mmap.ACCESS_READ)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, as of a slice."""
        assert self._map is not None
        data = self._map[start:end]
        self._reads += 1
        if self._reads >= KEPT:
            self._reads = 0
            self._map.madvise(mmap.MADV_DONTNEED)  # of a file: they come back when they are read again
        return data

    def close(self) -> None:
        """Let it go now."""
        if self._map is not None:
            self._map.close()
            self._map = None
        self._close()

    def _flush(self) -> None:
        try:
            while self._buffer:
                del self._buffer[: os.write(self._file, self._buffer)]
        except OSError as error:
            raise SetupError(f"no room in {tempfile.gettempdir()}: {error.strerror}; export TMPDIR=…") from error
