"""The single-threaded process, one a core, that runs are forked from. Started by verifiers/sandbox/host.py.

It imports what programs often import, goes behind the walls that all runs share, says so, and then only forks: what
programs are, and what they answer, it never sees. It ends when its parent does, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import itertools
import os
import select
import signal
import site
import socket
import sys
from typing import Any

from tracemill.verifiers.sandbox import box, kernel, landlock, outer, policy, program, seccomp, trees
from tracemill.verifiers.sandbox.orders import Setting
from tracemill.verifiers.sandbox.syscalls import AUDIT_ARCH

COMMON = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random", "re", "string",
    "threading", "time", "typing",
)  # fmt: skip
"""Imported before the first fork; others are imported by the programs that want them. Each MB costs every run 40 µs."""
PREFIX = "tracemill-sandbox-"


def main(options: dict[str, Any]) -> None:
    """Options: control and parent (descriptors: socket, pidfd), tier, temporary (folder), readable,
    paths (for imports), preload."""
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # the parent's to handle, in a terminal
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=options["control"])
    try:
        walls = _settle(options)
    except BaseException as error:  # noqa: BLE001 - the parent is told, and this process ends
        control.send(f"{type(error).__name__}: {error}".encode()[:4000])
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # runs are reaped by the kernel
    control.send(b"ready")
    _serve(control, options["parent"], walls)
    os.close(walls.kept)  # first: a run that ends between this and the next line sees that it must do it
    if walls.tier != 1:
        with contextlib.suppress(OSError):
            os.rmdir(walls.folder)  # runs under way have theirs in it: the last of them removes it


def _settle(options: dict[str, Any]) -> Setting:
    tier: int = options["tier"]
    sys.path.extend(options["paths"])
    sys.dont_write_bytecode = True
    site.setquit()  # as programs expect; the rest of site, which the option -S leaves out, sets up paths
    site.setcopyright()
    site.sethelper()
    for name in (*COMMON, *options["preload"]):
        importlib.import_module(name)
    os.environ.clear()  # not earlier: libraries read there that they may not start threads
    sys.orig_argv.clear()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError(f"preloading {', '.join(options['preload'])} starts threads, which a fork would break")
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    abi = landlock.version()
    if tier < 3 and not (abi and AUDIT_ARCH):
        raise OSError("no Landlock in this kernel, or a machine whose system calls are not known")
    if tier == 1:
        outer.enter(proc, options["readable"])
    readable = ("/",) if tier == 1 else (*options["readable"], *outer.system_paths(), *outer.DEVICES)
    as_nobody = os.getuid() == 0 and kernel.nobody_can_read(os.__file__)
    can_switch = tier != 1 and os.getuid() == 0 and kernel.nobody_can_read("/")
    if tier == 1 and as_nobody:
        kernel.become_nobody()
    if tier == 1:
        kernel.drop_capabilities()
    folder = outer.PRIVATE if tier == 1 else _shared_folder(options["temporary"])
    life, kept = os.pipe()
    filters = _filters(tier)
    for name in [name for name in sys.modules if name.split(".")[0] == "tracemill"]:
        del sys.modules[name]  # not for programs; nor are their names looked through in each run
    gc.collect()
    gc.freeze()
    with open(os.open("self/statm", os.O_RDONLY, dir_fd=proc)) as sizes:
        size = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return Setting(
        tier=tier,
        proc=proc,
        uid=os.getuid(),
        gid=os.getgid(),
        folder=folder,
        rules=tuple(landlock.open_rules(readable)),
        as_nobody=as_nobody and tier != 1,
        can_switch=can_switch,
        landlock=abi,
        filters=filters,
        interpreter_bytes=size,
        life=life,
        kept=kept,
    )


def _filters(tier: int) -> dict[tuple[bool, bool], bytes]:
    if tier == 3:
        return {}
    own = program.PID_MARK if tier == 2 else None
    return {
        (fork, execute): seccomp.compile_filter(policy.rules(own, fork, execute, private_files=tier == 1))
        for fork, execute in itertools.product((False, True), repeat=2)
    }


def _shared_folder(place: str) -> str:
    """Tiers 2 and 3: a folder for the runs' own, locked while any of us lives; those that a power cut left go."""
    for stale in [entry.path for entry in os.scandir(place) if entry.name.startswith(PREFIX)]:
        with contextlib.suppress(OSError):  # another user's, or in use
            lock = os.open(stale, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid():  # root could lock another user's, who still changes it
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    trees.remove(stale)
            finally:
                os.close(lock)
    folder = f"{place}/{PREFIX}{os.getpid()}-{os.urandom(8).hex()}"
    os.mkdir(folder, 0o700)
    fcntl.flock(os.open(folder, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)  # open until the last of us ends
    os.chmod(folder, 0o711)
    os.chdir("/")
    return folder


def _serve(control: socket.socket, parent: int, setting: Setting) -> None:
    poll = select.poll()
    for file in (control.fileno(), parent):
        poll.register(file, select.POLLIN)
    while True:
        if any(file == parent for file, _ in poll.poll()):
            return
        data, files, _, _ = socket.recv_fds(control, 1, 2)
        if not data:
            return
        with contextlib.suppress(OSError):  # the system will not fork now: the caller sees its socket closed
            if (kernel.fork_into(box.NAMESPACES) if setting.tier == 1 else os.fork()) == 0:
                control.close()
                os.close(parent)
                os.close(setting.kept)
                box.live(setting, socket.socket(fileno=files[0]), files[1] if len(files) > 1 else -1)
        for file in files:
            os.close(file)
