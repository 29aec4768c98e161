"""One run, from the zygote's fork to the reply: private folder, program process, watch, reply, end.

In tier 1 this process is the init of a PID namespace; when it ends, the kernel ends all that runs in it. It is not
restricted like the program, which cannot reach it: it holds nothing that the program must not see.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import os
import select
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import _exit
from typing import NoReturn

from tracemill.verifiers.sandbox import frames, kernel, program, trees
from tracemill.verifiers.sandbox.kernel import MS_NODEV, MS_NOSUID
from tracemill.verifiers.sandbox.orders import Order, Setting
from tracemill.verifiers.sandbox.replies import Box, broken, send_box
from tracemill.verifiers.sandbox.types import Ending, Run
from tracemill.verifiers.sandbox.watch import Started, watch

START_SECONDS = 60.0
"""From the fork to the program's start; milliseconds are usual."""
NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


class NotStarted(Exception):
    """The program was never reached."""


@dataclass(frozen=True, slots=True)
class _Pipes:
    """Our ends and the program's."""

    ours: tuple[int, int, int]
    """Standard output, standard error, ready."""
    theirs: tuple[int, int, int]


def live(setting: Setting, caller: socket.socket, channel: int) -> NoReturn:
    """`channel`: the program's side of a conversation, or -1."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if setting.tier == 1:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.map_user(setting.proc, kernel.NOBODY, setting.uid, setting.gid)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        order = Order.read(*frames.receive(caller))
        with _private_folder(setting, order) as home:
            run = _run(setting, order, home, caller, channel)
            kept = _collect(f"{home}/work", order) if order.keep and run.ending is Ending.EXITED else {}
            if sum(map(len, kept.values())) > order.limits.file_mb * (1 << 20):
                run, kept = dataclasses.replace(run, ending=Ending.OUTPUT), {}
        send_box(caller, Box(run, kept))
    except EOFError:
        pass  # the caller is gone
    except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is told
        with contextlib.suppress(OSError):
            send_box(caller, Box(broken(f"{type(error).__name__}: {error}", setting.tier), {}))
    finally:
        _exit(0)


@contextmanager
def _private_folder(setting: Setting, order: Order) -> Iterator[str]:
    given = len(order.stdin) + sum(map(len, order.files.values()))
    if setting.tier == 1:
        size = int(order.limits.file_mb * (1 << 20)) + given + 4096 * (len(order.files) + 8)
        options = f"size={size},nr_inodes=4096,mode=755"
        kernel.mount("none", setting.folder, "tmpfs", MS_NOSUID | MS_NODEV, options)
        _fill(setting.folder, order, mode=0o700)
        yield setting.folder
        return
    home = f"{setting.folder}/{os.getpid()}"
    os.mkdir(home, 0o711)
    try:
        _fill(home, order, mode=0o777 if setting.becomes_nobody(order) else 0o700)
        yield home
    finally:
        trees.remove(home)
        with contextlib.suppress(OSError):
            if _is_orphan(setting):
                os.rmdir(setting.folder)  # the last one out


def _fill(home: str, order: Order, mode: int) -> None:
    for folder in ("work", "tmp", "io"):
        os.mkdir(f"{home}/{folder}")
        os.chmod(f"{home}/{folder}", 0o755 if folder == "io" else mode)
    for name, data in order.files.items():
        _write(f"{home}/work/{name}", data, 0o755)
    _write(f"{home}/io/stdin", order.stdin, 0o444)
    if not order.is_python:  # tier 1 has no /proc; loaders and Java find what lies beside a program by this link
        os.makedirs(f"{home}/proc/self")
        os.symlink(os.path.realpath(os.path.join(f"{home}/work", order.argv[0])), f"{home}/proc/self/exe")


def _write(path: str, data: bytes, mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, mode)
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _is_orphan(setting: Setting) -> bool:
    poll = select.poll()
    poll.register(setting.life, 0)
    return bool(poll.poll(0))


def _run(setting: Setting, order: Order, home: str, caller: socket.socket, channel: int) -> Run:
    pipes = _pipes()
    stdin = os.open(f"{home}/io/stdin", os.O_RDONLY | os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            out, err, ready = pipes.theirs
            program.become(order, setting, home, (stdin, out, err), ready, channel)
        finally:
            _exit(255)
    for file in (*pipes.theirs, stdin):
        os.close(file)
    if channel >= 0:
        os.close(channel)
    out, err, ready = pipes.ours
    started = Started(pid, out, err, caller.fileno(), home, setting, order.limits)
    trouble = _await_start(ready)
    if trouble:
        started.end()
        raise NotStarted(trouble)
    return watch(started)


def _pipes() -> _Pipes:
    pairs = [os.pipe() for _ in range(3)]
    ours, theirs = zip(*pairs, strict=True)
    return _Pipes(ours, theirs)


def _await_start(ready: int) -> str:
    """What went wrong before the program's first instruction; empty if nothing."""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    text = os.read(ready, 4096) if poll.poll(START_SECONDS * 1000) else b"did not start"
    os.close(ready)
    return text.decode(errors="replace")


def _collect(folder: str, order: Order) -> dict[str, bytes]:
    """Files that the program left, by pattern. They are its own: links are not followed, other kinds not read."""
    kept: dict[str, bytes] = {}
    left = int(order.limits.file_mb * (1 << 20)) + 1
    for name in sorted(os.listdir(folder)):
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in order.keep):
            continue
        with contextlib.suppress(OSError):  # a link, or a file that it made unreadable
            file = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    with open(file, "rb", closefd=False) as opened:
                        kept[name] = opened.read(left)
                    left -= len(kept[name])
            finally:
                os.close(file)
    return kept
