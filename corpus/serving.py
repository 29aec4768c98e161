"""Serves ranges of a corpus' data files on an object store to the guarded child process (`corpus.sql_child`).

The child names a file of the list and a range, and gets bytes: it needs no credentials, no URL and no network.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType

_PIPES = 8  # ranges that can be under way at once
_LONGEST = 4096  # bytes of a request


class Served:
    """A context in which the files are served through `handles`, which the child inherits."""

    def __init__(self, paths: Mapping[str, str], ranges: Callable[[str, int, int], bytes]) -> None:
        self.failure = ""
        """Why a range could not be read."""
        self._paths = paths
        self._ranges = ranges
        self._pairs = [Pipe() for _ in range(_PIPES)]
        self._threads = [threading.Thread(target=self._serve, args=(own,), daemon=True) for own, _ in self._pairs]

    @property
    def handles(self) -> list[int]:
        """File descriptors for the child."""
        return [theirs.fileno() for _, theirs in self._pairs]

    def __enter__(self) -> Served:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _, theirs in self._pairs:
            theirs.close()  # the child's copies ended with it: the threads see the end
        for thread in self._threads:
            thread.join()

    def _serve(self, pipe: Connection) -> None:
        with pipe, contextlib.suppress(EOFError, OSError):
            while True:
                pipe.send_bytes(self._answer(pipe.recv_bytes(_LONGEST)))

    def _answer(self, request: bytes) -> bytes:
        name, start, length = json.loads(request)
        try:
            return b"+" + self._ranges(self._paths[name], start, length)
        except OSError as error:
            self.failure = str(error)
            return b"-"
