"""The process that becomes the program: gives up what it must not have, then runs Python source or another program."""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import fcntl
import gc
import math
import os
import resource
import signal
import struct
import sys
import threading
import types
from os import _exit  # as it is now: programs may patch it, and must not fall back into our code
from typing import Any, NoReturn

from tracemill.verifiers.sandbox import census, kernel, landlock, seccomp
from tracemill.verifiers.sandbox.orders import Order, Setting

PID_MARK = 0x7ABCDEF1
CHANNEL = 3
MB = 1 << 20
RESERVED_BYTES = 64 << 30
"""Address space of programs that are not Python: runtimes reserve much more than they use. It bounds page tables."""
STACK = 64 * MB
"""Deep recursions are common in C++; in Python, those through C code, such as functools.lru_cache, take C stack too."""
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def become(
    order: Order, setting: Setting, home: str, streams: tuple[int, int, int], ready: int, channel: int
) -> NoReturn:
    """`home` has the folders work and tmp (to change) and io (to read). `ready` is told of trouble, and closed."""
    try:
        os.setsid()  # out of reach of kill(0), and a scheduling group of its own: many processes starve no watch
        os.chdir(f"{home}/work")
        kernel.write_at(setting.proc, "self/oom_score_adj", "1000")  # where memory ends, no other process is to die
        others = 1 if setting.tier == 1 else _others(order, setting)
        _confine(order, setting, home)
        ready = _arrange(streams, ready, channel)
        _limit(order, setting, others)
        if setting.tier < 3:
            code = setting.filters[order.limits.processes > 1, not order.is_python]
            seccomp.install(code.replace(struct.pack("=I", PID_MARK), struct.pack("=I", os.getpid())))
    except BaseException as error:  # noqa: BLE001 - never run the program without the limits
        os.write(ready, f"{type(error).__name__}: {error}".encode()[:4000])
        _exit(255)
    for number in (signal.SIGHUP, signal.SIGTERM):  # the zygote ignores them
        signal.signal(number, signal.SIG_DFL)
    if order.is_python:
        os.close(ready)
        _run_python(order, f"{home}/work", channel >= 0)
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and exec would pass that on
        signal.signal(number, signal.SIG_DFL)
    base = ENVIRONMENT | {"HOME": f"{home}/work", "TMPDIR": f"{home}/tmp"}
    try:
        os.execve(order.argv[0], order.argv, {**base, **order.environment})
    except OSError as error:
        os.write(ready, f"cannot start {order.argv[0]}: {error.strerror}".encode()[:4000])
    _exit(255)


def _arrange(streams: tuple[int, int, int], ready: int, channel: int) -> int:
    """Standard streams, the channel and `ready` to the lowest descriptors; close all others."""
    wanted = [*streams, ready] if channel < 0 else [*streams, channel, ready]
    high = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 32) for file in wanted]
    for place, file in enumerate(high):
        os.dup2(file, place, inheritable=place < len(high) - 1)
    os.closerange(len(high), 1 << 20)
    return len(high) - 1


def _others(order: Order, setting: Setting) -> int:
    """Tasks that the program's user has beside it. One that may not fork is bounded by the filter and the census."""
    if order.limits.processes == 1:
        return 1 << 20
    return census.tasks_of_user(setting.proc, kernel.NOBODY if setting.becomes_nobody(order) else setting.uid)


def _limit(order: Order, setting: Setting, others: int) -> None:
    limits = order.limits
    memory = int(limits.memory_mb * MB)
    cpu = math.ceil(limits.cpu_s)
    values = {
        resource.RLIMIT_CPU: cpu + 1,  # behind the watch, which counts finer
        resource.RLIMIT_FSIZE: int(limits.file_mb * MB),
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_CORE: 1,  # less than any dump, and, unlike 0, also stops those piped to a program
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,
        resource.RLIMIT_STACK: STACK,
        resource.RLIMIT_AS: setting.interpreter_bytes + memory if order.is_python else RESERVED_BYTES + memory,
    }
    if not order.is_python:
        values[resource.RLIMIT_DATA] = memory
    # Tier 1: counted in the run's own user namespace, where init is one. Else with all that the user has.
    values[resource.RLIMIT_NPROC] = others + limits.processes + limits.threads
    # Python programs raise it before they recurse; their address space bounds it. The data segment of others does not.
    free = resource.RLIMIT_STACK if order.is_python else None
    for name, value in values.items():
        most = resource.getrlimit(name)[1]
        try:
            resource.setrlimit(name, (value, most if name == free else value))
        except ValueError:  # more than we may use ourselves
            resource.setrlimit(name, (most, most))


def _confine(order: Order, setting: Setting, home: str) -> None:
    if setting.becomes_nobody(order):
        kernel.become_nobody()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if setting.tier < 3:
        writable = (f"{home}/work", f"{home}/tmp", "/dev/null")
        landlock.restrict(setting.rules, (f"{home}/io",), writable, setting.landlock)


def _run_python(order: Order, folder: str, converses: bool) -> NoReturn:
    """As `python main.py`: same traceback, same exit status; the streams are the zygote's, over other files."""
    source = order.files["main.py"]
    path = f"{folder}/main.py"
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = main
    if converses:
        sys.modules["sandbox_channel"] = _channel_module()
    sys.argv = ["main.py", *order.argv]
    sys.path.insert(0, folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 0
    try:
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)  # noqa: S102 - this is what the box is for
    except SystemExit as error:
        status = _status(error.code)
    except BaseException as error:  # noqa: BLE001
        status = _report(error)
    _exit(_finish(status, main))


def _report(error: BaseException) -> int:
    trace = error.__traceback__
    error.__traceback__ = trace.tb_next if trace else None  # our own frame
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as end:
        return _status(end.code)
    except BaseException:  # noqa: BLE001 - the program's own hook
        sys.__excepthook__(type(error), error, error.__traceback__)
    return 1


def _status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201
    return 1


def _finish(status: int, main: types.ModuleType) -> int:
    """What an interpreter does at its end that a program can notice: threads, atexit, flush, the end of its objects."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit as error:
        status = _status(error.code)
    except BaseException:  # noqa: BLE001 - whatever the program put there
        status = status or 120
    flushed = _flush()
    if not _thread._count():  # daemon threads, which an interpreter stops first, would see their names vanish
        with contextlib.suppress(BaseException):  # of names that are the program's own objects
            for name in [name for name in main.__dict__ if name != "__builtins__"]:
                main.__dict__[name] = None  # files that it did not close write what they hold
            gc.collect()
    flushed = _flush() and flushed
    return status if flushed else status or 120


def _flush() -> bool:
    """Also the streams that the program replaced; it may have closed any."""
    flushed = True
    for stream in (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException:  # noqa: BLE001 - such as a stream whose file is closed
            flushed = False
    return flushed


def _channel_module() -> types.ModuleType:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = os.read(CHANNEL, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive() -> bytes:
        return exactly(struct.unpack("<I", exactly(4))[0])

    def reply(data: bytes) -> None:
        left = memoryview(struct.pack("<I", len(data)) + data)
        while left:
            left = left[os.write(CHANNEL, left) :]

    module = types.ModuleType("sandbox_channel")
    module.__dict__.update(receive=receive, reply=reply)
    return module
