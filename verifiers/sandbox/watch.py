"""Watches a running program: reads what it writes, keeps its limits, ends it with all that it started, says why."""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
import select
import signal
import time
from dataclasses import dataclass, field

from tracemill.verifiers.sandbox import census
from tracemill.verifiers.sandbox.orders import Setting
from tracemill.verifiers.sandbox.types import Ending, Limits, Run

READ_BYTES = 1 << 16
LOOK_SECONDS = 0.02
"""How often processes, threads and disk are counted where the kernel does not limit them (tiers 2 and 3)."""
OUT_OF_MEMORY = re.compile(
    rb"^MemoryError\b|std::bad_alloc|heap out of memory|java\.lang\.OutOfMemoryError|^fatal error: .*out of memory"
    rb"|^memory allocation of \d+ bytes failed|out of memory allocating|virtual memory exhausted"
    rb"|Cannot allocate memory",
    re.MULTILINE,
)
"""Last words of Python, C++, node, Java, Go, Rust and gcc."""
LAST_WORDS = 4096
STOP, STOP_DYING = b"s", b"d"
"""The caller's wishes: end it; the same, but it has closed its channel, so let it die by itself if it is dying."""
DYING_SECONDS = 1.0


@dataclass(slots=True)
class Started:
    """A program that has been started."""

    pid: int
    out: int
    err: int
    caller: int
    """Hangs up when nobody waits for the run any more; a byte from it asks for the end."""
    home: str
    setting: Setting
    limits: Limits
    usage: resource.struct_rusage | None = None
    status: int = 0
    texts: dict[int, bytearray] = field(default_factory=dict)

    def reap(self, options: int = 0) -> bool:
        """Whether the program itself has ended. Also takes in strays."""
        while self.usage is None:
            pid, status, usage = os.wait4(-1, options)
            if pid == 0:
                return False
            if pid == self.pid:
                self.status, self.usage = status, usage
        return True

    def end(self) -> None:
        """Kill whatever runs, and wait until it is gone."""
        if self.setting.tier == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            self._kill_group()
        with contextlib.suppress(ChildProcessError):
            self.reap()
            while True:
                if self.setting.tier != 1:
                    self._kill_children()
                os.waitpid(-1, 0)

    def _kill_group(self) -> None:
        for kill, target in ((os.killpg, self.pid), (os.kill, self.pid)):
            with contextlib.suppress(ProcessLookupError):  # not yet leader of a group, or nobody left in it
                kill(target, signal.SIGKILL)

    def _kill_children(self) -> None:
        """Those that left the group (the filter of tier 2 lets none), now ours since their parent is gone."""
        with contextlib.suppress(OSError), open("/proc/thread-self/children") as children:
            for child in children.read().split():
                os.kill(int(child), signal.SIGKILL)


def watch(started: Started) -> Run:
    """Until the program has ended, by itself or by us. Raises EOFError if the caller goes away."""
    begun = time.monotonic()
    ending = _attend(started, begun)
    wall = time.monotonic() - begun
    started.end()
    _drain(started)
    assert started.usage is not None
    usage = started.usage
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    signalled = os.WIFSIGNALED(started.status)
    code = os.WTERMSIG(started.status) if signalled else os.WEXITSTATUS(started.status)
    cap = int(started.limits.output_kb * 1024)
    texts = [bytes(started.texts[file][:cap]) for file in (started.out, started.err)]
    if ending is None and any(len(text) > cap for text in started.texts.values()):
        ending = Ending.OUTPUT
    if ending is None:
        ending = _natural(signalled, code, cpu, peak, texts[1], started.limits)
    if ending is Ending.BROKEN:
        texts[1] = b"killed by somebody else, far below its memory limit: the machine's own may be out"
    if ending is Ending.EXITED and signalled:  # we ended a conversation
        code = 0
    return Run(ending, code, texts[0], texts[1], cpu, wall, peak, started.setting.tier)


def _attend(started: Started, begun: float) -> Ending | None:
    """Why we ended it; None if it ended itself."""
    gone = os.pidfd_open(started.pid)
    poll = select.poll()
    for file in (started.out, started.err):
        os.set_blocking(file, False)
        started.texts[file] = bytearray()
        poll.register(file, select.POLLIN)
    for file in (gone, started.caller, started.setting.life):
        poll.register(file, select.POLLIN)
    cap = started.limits.output_kb * 1024
    while True:
        left = _seconds_left(started, begun)
        if isinstance(left, Ending):
            return left
        for file, _ in poll.poll(math.ceil(left * 1000)):
            if file == gone:
                return None
            if file == started.setting.life:
                started.end()
                raise EOFError("the zygote is gone")
            if file == started.caller:
                return _stop(started, gone)
            if not _read(started, file):
                poll.unregister(file)
            if len(started.texts[file]) > cap:
                return Ending.OUTPUT


def _stop(started: Started, gone: int) -> Ending | None:
    """The caller asks for the end, or is gone."""
    wish = os.read(started.caller, 1)
    if not wish:
        started.end()
        raise EOFError("the caller is gone")
    if wish == STOP_DYING and select.select([gone], [], [], DYING_SECONDS)[0]:
        return None
    return Ending.EXITED


def _seconds_left(started: Started, begun: float) -> float | Ending:
    """Until the next look at the limits, or which of them is reached."""
    limits = started.limits
    wall = limits.wall_s - (time.monotonic() - begun)
    if wall <= 0:
        return Ending.WALL
    with contextlib.suppress(OSError):  # it has just ended
        cpu = limits.cpu_s - time.clock_gettime(~started.pid << 3 | 2)  # clock_getcpuclockid(3)
        if cpu <= 0:
            return Ending.CPU
        wall = min(wall, max(cpu / _lanes(limits), 0.001))
    if started.setting.tier != 1:
        return census.excess(started.setting.proc, started.pid, started.home, limits) or min(wall, LOOK_SECONDS)
    return wall


def _lanes(limits: Limits) -> int:
    """How many times faster than the clock the program's CPU time may pass."""
    return min(1 + int(limits.threads), os.cpu_count() or 1)


def _read(started: Started, file: int) -> bool:
    """Whether there may be more."""
    try:
        data = os.read(file, READ_BYTES)
    except BlockingIOError:
        return True
    started.texts[file] += data
    return bool(data)


def _drain(started: Started) -> None:
    """What is left in the pipes; nobody writes any more."""
    for file in (started.out, started.err):
        cap = started.limits.output_kb * 1024
        with contextlib.suppress(BlockingIOError):
            while len(started.texts[file]) <= cap and (data := os.read(file, READ_BYTES)):
                started.texts[file] += data


def _natural(signalled: bool, code: int, cpu: float, peak: float, errors: bytes, limits: Limits) -> Ending:
    """How a program ended that we did not end."""
    if signalled and code in (signal.SIGXCPU, signal.SIGKILL) and cpu >= limits.cpu_s:
        return Ending.CPU
    if code and OUT_OF_MEMORY.search(errors[-LAST_WORDS:]):
        return Ending.MEMORY
    if signalled and peak >= 0.9 * limits.memory_mb:
        return Ending.MEMORY
    if signalled and code == signal.SIGKILL:
        return Ending.MEMORY if peak >= limits.memory_mb / 2 else Ending.BROKEN  # the machine's memory was out
    return Ending.SIGNALLED if signalled else Ending.EXITED
