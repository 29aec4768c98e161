"""Runs untrusted programs, from any thread: zygotes, one a core, from which each run is forked behind its own walls.

    this process ── zygote (a core each) ── init of the run's namespaces: limits, output ── the program

Three tiers: 1 namespaces, Landlock, seccomp and resource limits; 2 without namespaces, where the machine refuses
them; 3 resource limits only, for programs one trusts. What each holds and does not: docs/reference/sandbox.md.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from tracemill.core.errors import InputError, SetupError
from tracemill.verifiers.sandbox import frames
from tracemill.verifiers.sandbox.conversation import Conversation
from tracemill.verifiers.sandbox.host import Zygote
from tracemill.verifiers.sandbox.orders import Order
from tracemill.verifiers.sandbox.replies import Box, broken, read_box
from tracemill.verifiers.sandbox.types import Ending, Limits, Run

DEFAULT = Limits()
SEND_SECONDS = 60.0
"""For an order to be taken; microseconds are usual."""
MOST_NAME_BYTES = 255
MOST_ARGV_BYTES = 128 << 10
"""The kernel's limits, of one file's name and of one argument."""


class Sandbox:
    """`tier`: the best that this machine gives, if None; 3 only if asked for. `zygotes`: as many as cores, if None.

    `preload`: modules imported before forking, such as numpy; the site-packages are readable if one is there.
    `readable`: folders that programs may read besides Python's and the system's. Processes start with the first run and
    end with this process, or at `close`; a later run starts them again.
    """

    def __init__(
        self,
        tier: int | None = None,
        zygotes: int | None = None,
        preload: Sequence[str] = (),
        readable: Sequence[str] = (),
    ) -> None:
        if tier not in (None, 1, 2, 3):
            raise InputError(f"sandbox: tier must be 1, 2 or 3 (got {tier})")
        self._options = (tier, zygotes, tuple(preload), tuple(readable))
        self._size = zygotes or len(os.sched_getaffinity(0))
        self._zygotes: list[Zygote] = []
        self._reset()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def __reduce__(self) -> tuple[Any, ...]:
        return Sandbox, self._options

    @property
    def tier(self) -> int:
        """Raises SetupError where no tier but 3 works and none was named."""
        return self._options[0] or best_tier()

    def run(
        self,
        source: str,
        stdin: bytes = b"",
        limits: Limits = DEFAULT,
        argv: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Run:
        """A Python program, as `python main.py argv…` in an empty folder with these files."""
        order = Order(_arguments(argv), stdin, _with_main(files, source), limits)
        return self._perform(order).run

    def execute(
        self,
        argv: Sequence[str],
        files: Mapping[str, bytes],
        stdin: bytes = b"",
        limits: Limits = DEFAULT,
        keep: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Run, Mapping[str, bytes]]:
        """Another program of this machine, by its absolute path, or "./name" of a file given.

        `keep`: patterns of the files in its folder that come back, if the run EXITED.
        """
        if not argv or not argv[0].startswith(("/", "./")):
            raise InputError(f"sandbox: argv must begin with an absolute path or ./name (got {list(argv)})")
        order = Order(_arguments(argv), stdin, _checked(files), limits, tuple(keep), environment or {}, is_python=False)
        box = self._perform(order)
        return box.run, box.files

    @contextmanager
    def converse(
        self, source: str, limits: Limits = DEFAULT, files: Mapping[str, bytes] | None = None
    ) -> Iterator[Conversation]:
        """A Python program that is spoken with: in it, `sandbox_channel.receive()` gives the payload of the next call,
        `sandbox_channel.reply(data)` answers. Whatever it does to that channel, it forges its own answers only."""
        order = Order((), b"", _with_main(files, source), limits)
        with self._slot():
            zygote, caller, channel = self._open(order, conversing=True)
            assert channel is not None
            try:
                with caller, channel:
                    yield Conversation(caller, channel, limits, self.tier)
            finally:
                self._done(zygote)

    def close(self) -> None:
        """End all processes. Runs under way become BROKEN."""
        with self._lock:
            zygotes, self._zygotes = self._zygotes, []
        for zygote in zygotes:
            zygote.end()

    def _perform(self, order: Order) -> Box:
        """Once more with a new zygote if the first dies under it: programs leave no traces."""
        with self._slot():
            for _ in range(2):
                zygote, caller, _ = self._open(order, conversing=False)
                try:
                    with caller:
                        return read_box(caller, order.limits)
                except (EOFError, OSError, ValueError) as error:
                    reason = f"no answer from the sandbox: {error}"
                finally:
                    self._done(zygote)
        return Box(broken(reason, self.tier), {})

    def _open(self, order: Order, conversing: bool) -> tuple[Zygote, socket.socket, socket.socket | None]:
        while True:
            zygote = self._take()
            try:
                caller, channel = zygote.open(conversing)
            except OSError:
                self._done(zygote, dead=True)
                continue
            try:
                caller.settimeout(SEND_SECONDS)
                frames.send(caller, order.header(), order.blobs())
            except OSError:  # it died before it forked, or could not: reading the answer will tell
                pass
            return zygote, caller, channel

    def _take(self) -> Zygote:
        """The least busy zygote; a new one while there are fewer than wanted."""
        with self._lock:
            if len(self._zygotes) < self._size and all(zygote.busy for zygote in self._zygotes):
                self._zygotes.append(Zygote(self.tier, *self._options[2:]))
            zygote = min(self._zygotes, key=lambda zygote: zygote.busy)
            zygote.busy += 1
            return zygote

    def _done(self, zygote: Zygote, dead: bool = False) -> None:
        with self._lock:
            zygote.busy -= 1
            if (dead or zygote.process.poll() is not None) and zygote in self._zygotes:
                self._zygotes.remove(zygote)
                zygote.end()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """As many runs at a time as zygotes. A thread that holds one gets its second at once: it could else wait for
        another that waits for it."""
        depth = getattr(self._held, "depth", 0)
        if depth == 0:
            self._slots.acquire()
        self._held.depth = depth + 1
        try:
            yield
        finally:
            self._held.depth = depth
            if depth == 0:
                self._slots.release()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._size)
        self._held = threading.local()
        self._zygotes = []

    def _forget(self) -> None:
        """In a forked child: the zygotes are the parent's, and the locks may be held by threads that are gone."""
        for zygote in self._zygotes:
            zygote.forget()
        self._reset()


def _with_main(files: Mapping[str, bytes] | None, source: str) -> dict[str, bytes]:
    return {**_checked(files or {}), "main.py": source.encode("utf-8", "surrogatepass")}


def _checked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    for name in files:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise InputError(f"sandbox: a file's name must be a plain name, without folders (got {name!r})")
        if len(_encoded("a file's name", name)) > MOST_NAME_BYTES:
            raise InputError(f"sandbox: a file's name must have at most {MOST_NAME_BYTES} bytes (got {name[:40]!r}…)")
    return dict(files)


def _arguments(argv: Sequence[str]) -> tuple[str, ...]:
    if sum(len(_encoded("argv", word)) + 1 for word in argv) > MOST_ARGV_BYTES:
        raise InputError(f"sandbox: argv must have at most {MOST_ARGV_BYTES} bytes; give more as stdin or a file")
    if any("\0" in word for word in argv):
        raise InputError("sandbox: argv must not contain zero bytes")
    return tuple(argv)


def _encoded(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"sandbox: {what} must be Unicode text without lone surrogates (got {text[:40]!r})") from error


@cache
def best_tier() -> int:
    """The best of tiers 1 and 2 that works here, tried once a process. Raises SetupError with both reasons."""
    reasons = []
    for tier in (1, 2):
        sandbox = Sandbox(tier, zygotes=1)
        try:
            run = sandbox.run("import calendar; print(calendar.isleap(2000))")
            if run.ending is Ending.EXITED and run.stdout == b"True\n":
                return tier
            reasons.append(f"tier {tier}: {run.ending}: {run.stderr.decode(errors='replace')[-300:]}")
        except SetupError as error:
            reasons.append(str(error))
        finally:
            sandbox.close()
    raise SetupError("; ".join(reasons))
