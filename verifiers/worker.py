"""Calls of foreign code with a hard deadline, from any thread, event loop, Ray actor or daemonic process.

    this process ── zygote (imports done, forks keepers) ── keeper (deadline) ── runner (runs the calls)

`Pool.call` hands a function to a runner; past the deadline its keeper kills it and forks the next (milliseconds, since
the imports were done in the zygote). No signal.alarm, which works in main threads only, and no multiprocessing.Process,
which daemonic processes may not start. All of them end when this process does, however it ends. It is no sandbox:
runners share this process's rights.
"""

from __future__ import annotations

import atexit
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tracemill.verifiers.verdicts import Undecidable

START_SECONDS = 120.0
"""Limit on starting the zygote: 0.5-5 s are usual, most of it reading sympy from a cold disk."""
BOOT = "import sys; sys.path[:] = eval(sys.argv[1]); from tracemill.verifiers.worker_process import main; main()"


class TimeLimit(Undecidable):
    """The call was killed at its deadline."""

    def __init__(self) -> None:
        super().__init__("time_limit")


class WorkerDied(Undecidable):
    """The process died in the call: a crash, an exit, or its memory limit."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"worker_died: {detail}" if detail else "worker_died")


class CallFailed(Undecidable):
    """The function raised; the reason holds the error's type and message."""


class Pool:
    """Up to `size` runners (half the cores, at least two), started when first needed.

    `warm` is imported and called once, before the first fork.
    """

    def __init__(self, warm: Callable[[], object], size: int | None = None) -> None:
        self._warm = warm
        self._size = size or max(2, (os.cpu_count() or 1) // 2)
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._reset()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def call(self, function: Callable[..., Any], *args: Any, seconds: float) -> Any:
        """The function's result; it and its arguments must pickle. The deadline is in CPU seconds (see worker_process).

        Where its process dies it is tried once more: the death may have been no fault of the call, and a call that
        crashes will crash again. Raises TimeLimit, WorkerDied, CallFailed, or the Undecidable that the function raised.
        """
        try:
            return self._call(function, *args, seconds=seconds)
        except WorkerDied:
            return self._call(function, *args, seconds=seconds)

    def _call(self, function: Callable[..., Any], *args: Any, seconds: float) -> Any:
        message = struct.pack("d", seconds) + pickle.dumps((function, args))
        with self._slots:
            keeper = self._take()
            try:
                keeper.send_bytes(message)
                reply = keeper.recv_bytes()
            except (EOFError, OSError) as error:
                keeper.close()
                raise WorkerDied from error
            except BaseException:  # Ctrl-C: closing the pipe makes the keeper kill its runner
                keeper.close()
                raise
            with self._lock:
                self._idle.append(keeper)
        kind, body = reply[:1], reply[1:]
        if kind == b"T":
            raise TimeLimit
        if kind == b"D":
            raise WorkerDied
        result = pickle.loads(body)
        if kind == b"U":
            raise Undecidable(result)
        if kind == b"E":
            raise CallFailed(f"error: {result}")
        return result

    def close(self) -> None:
        """End all processes of the pool; a later call starts them again."""
        with self._lock:
            for keeper in self._idle:
                keeper.close()
            self._idle.clear()
            self._end_zygote()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._size)
        self._idle: list[Connection] = []

    def _forget(self) -> None:
        """In a forked child: the processes are the parent's, and the locks may be held by threads that are gone."""
        for keeper in self._idle:
            keeper.close()
        if self._control is not None:
            self._control.close()
        if self._zygote is not None:
            self._zygote.returncode = 0  # keeps Popen from waiting for another process's child
        self._zygote = self._control = None
        self._reset()

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            try:
                return self._new_keeper()
            except OSError:  # the zygote was killed: one more try with a fresh one
                self._end_zygote()
                return self._new_keeper()

    def _new_keeper(self) -> Connection:
        control = self._ensure_zygote()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(control, [b"k"], [theirs.fileno()])
            return Connection(ours.detach())

    def _ensure_zygote(self) -> socket.socket:
        if self._control is not None:
            return self._control
        ours, theirs = socket.socketpair()
        name = f"{self._warm.__module__}:{self._warm.__qualname__}"
        one_thread = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with theirs:
            self._zygote = subprocess.Popen(
                [sys.executable, "-P", "-c", BOOT, repr(sys.path), name, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                env={**os.environ, **one_thread},
            )
        self._control = ours
        ours.settimeout(START_SECONDS)
        try:
            answer = ours.recv(4096)
        except OSError as error:
            answer = str(error).encode()
        ours.settimeout(None)
        if answer != b"ready":
            self._end_zygote()
            raise WorkerDied(" ".join(answer.decode(errors="replace").split())[:150] or "did not start")
        return ours

    def _end_zygote(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._zygote is not None:
            try:
                self._zygote.wait(5)
            except subprocess.TimeoutExpired:
                self._zygote.kill()
                self._zygote.wait()
        self._zygote = self._control = None
