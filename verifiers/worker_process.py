"""The other side of `verifiers.worker`: zygote, keepers and runners. Started by it, not to be imported elsewhere.

Messages are length-prefixed bytes. Call: 8 bytes of deadline (a double, CPU seconds), then pickle((function, args)).
Reply: one byte of kind (R result, U undecidable, E error, T time limit, D died), then a pickle for R, U and E.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, NoReturn

from tracemill.verifiers.verdicts import Undecidable

MEMORY_BYTES = 3 << 30
"""Address space of a runner: sympy and numpy take about 0.1-0.6 GB of it."""
ERROR_CHARS = 300
PR_SET_PDEATHSIG = 1
PATIENCE = 5
"""A call may take this many times its CPU seconds by the clock: a loaded machine must not change a verdict."""


def main() -> None:
    """Zygote: do the imports, then fork a keeper for each pipe that comes over the control socket, until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are reaped by the kernel
    control = socket.socket(fileno=int(sys.argv[3]))
    module, _, name = sys.argv[2].partition(":")
    logging.disable(logging.CRITICAL)
    try:
        getattr(importlib.import_module(module), name)()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told and this process ends
        control.sendall(_describe(error)[:4000] or b"failed")
        return
    gc.collect()
    gc.freeze()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):  # scorers print; a hostile answer must not reach the user's terminal
        os.dup2(null, stream)
    control.sendall(b"ready")
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _keep(Connection(fds[0]))
        os.close(fds[0])


@dataclass(slots=True)
class _Runner:
    pid: int
    pipe: Connection

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)  # ours and not yet waited for, so the pid cannot be another's
        os.waitpid(self.pid, 0)
        self.pipe.close()


def _keep(parent: Connection) -> NoReturn:
    """Keeper: pass calls to the runner, kill it at the deadline or when the parent is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    runner = _start_runner(parent)
    while True:
        try:
            message = parent.recv_bytes()
        except (EOFError, OSError):
            runner.kill()
            os._exit(0)
        seconds: float = struct.unpack_from("d", message)[0]
        with contextlib.suppress(OSError):
            runner.pipe.send_bytes(message[8:])
        ready = _await(runner, parent, seconds)
        if parent in ready:
            runner.kill()
            os._exit(0)
        reply = b"T"
        if ready:
            try:
                reply = runner.pipe.recv_bytes()
            except (EOFError, OSError):
                reply = b"D"
        with contextlib.suppress(OSError):
            parent.send_bytes(reply)
        if reply in (b"T", b"D"):
            runner.kill()
            runner = _start_runner(parent)


def _await(runner: _Runner, parent: Connection, seconds: float) -> list[Any]:
    """Which pipes have something to say; none once the call used up its CPU seconds, or PATIENCE times them."""
    begun, ends = _cpu_seconds(runner.pid), time.monotonic() + PATIENCE * seconds
    left = seconds
    while True:
        ready = wait([runner.pipe, parent], timeout=left)
        used = _cpu_seconds(runner.pid) - begun
        left = min(seconds - used, ends - time.monotonic())
        if ready or left <= 0:
            return ready
        left = max(left, 0.01)


def _cpu_seconds(pid: int) -> float:
    """What a process has used so far; the clock where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _start_runner(parent: Connection) -> _Runner:
    ours, theirs = Pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        parent.close()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _run(theirs)
    theirs.close()
    return _Runner(pid, ours)


def _run(keeper: Connection) -> NoReturn:
    """Runner: do calls until killed. A call that raises, whatever it raises, costs one error reply."""
    while True:
        try:
            payload = keeper.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)
        try:
            function, args = pickle.loads(payload)
            reply = b"R" + pickle.dumps(function(*args))
        except MemoryError:
            os._exit(1)
        except Undecidable as error:
            reply = b"U" + pickle.dumps(error.reason)
        except BaseException as error:  # noqa: BLE001 - SystemExit and its like come from judged text, not from us
            reply = b"E" + pickle.dumps(_describe(error).decode(errors="replace"))
        keeper.send_bytes(reply)


def _describe(error: BaseException) -> bytes:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error's own text may be what fails
        text = "?"
    return f"{type(error).__name__}: {text[:ERROR_CHARS]}".encode(errors="replace")
