"""Tier 1, once a zygote: namespaces without network and without the machine's files, in which each run gets its own.

What is left to see, read-only: the Python installation, the system's programs and libraries (/usr, /bin, /lib, parts
of /etc), folders named by the caller, and /dev/null, /dev/random, /dev/urandom. No /proc, /sys, /home, /etc/passwd.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from tracemill.verifiers.sandbox import kernel
from tracemill.verifiers.sandbox.syscalls import call

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/ssl/openssl.cnf",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
PRIVATE = "/box"
"""Each run mounts its own file system here."""
LINKS = {
    "/proc": f"{PRIVATE}/proc", "/dev/fd": "/proc/self/fd", "/dev/stdin": f"{PRIVATE}/io/stdin",
    "/dev/shm": f"{PRIVATE}/tmp", "/tmp": f"{PRIVATE}/tmp", "/var/tmp": f"{PRIVATE}/tmp",
}  # fmt: skip
STAGE = "/tmp"
"""Any folder that every machine has; what lies in it is covered in our mount namespace only."""


def system_paths() -> list[str]:
    """What every program may read: libraries, and programs for those that start programs."""
    return [*SYSTEM, *map(str, Path("/etc").glob("java-*"))]


def enter(proc: int, readable: Sequence[str]) -> None:
    """Move this process into the outer namespaces; `readable` are folders to show besides the system's.

    Raises OSError where the machine refuses; the process is then of no further use.
    """
    _unshare(proc)
    socket.sethostname("box")
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    shown = _topmost(path for path in (*system_paths(), *readable, *DEVICES) if os.path.exists(path))
    links = {path: os.readlink(path) for path in system_paths() if os.path.islink(path)} | LINKS
    sources = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in shown if path not in links}
    kernel.mount("none", STAGE, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m,nr_inodes=4k")
    for path, source in sources.items():
        _show(path, source)
    for path, target in links.items():
        os.makedirs(STAGE + os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileExistsError):  # a folder to read lies there, such as an interpreter in /tmp
            os.symlink(target, STAGE + path)
    os.mkdir(STAGE + PRIVATE)
    kernel.restrict_mounts(STAGE, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID)
    os.chdir(STAGE)
    call("pivot_root", b".", b".")
    call("umount2", b".", kernel.MNT_DETACH)
    os.chdir("/")


def _topmost(paths: Iterable[str]) -> list[str]:
    """Without those that lie in another one."""
    kept = sorted(set(paths))
    return [path for path in kept if not any(path.startswith(other + "/") for other in kept)]


def _show(path: str, source: int) -> None:
    target = STAGE + path
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    kernel.mount(f"/proc/self/fd/{source}", target, flags=kernel.MS_BIND | kernel.MS_REC)
    if path not in DEVICES:
        kernel.restrict_mounts(target, kernel.ATTR_NODEV)
    os.close(source)


def _unshare(proc: int) -> None:
    """New namespaces, all ours. Real root also maps nobody, whom it can then become."""
    uid, gid = os.getuid(), os.getgid()
    is_unshared, unshared = os.pipe()
    mapper = os.fork()
    if mapper == 0:  # stays outside: only from there can more than one user be mapped
        os.read(is_unshared, 1)
        mapped = False
        with contextlib.suppress(OSError):
            for kind in ("uid_map", "gid_map"):
                kernel.write_at(proc, f"{os.getppid()}/{kind}", f"0 0 1\n{kernel.NOBODY} {kernel.NOBODY} 1\n")
            mapped = True
        os._exit(0 if mapped else 1)
    try:
        flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
        call("unshare", flags | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP)
    finally:
        os.write(unshared, b".")
        os.close(unshared)
        os.close(is_unshared)
        failed = os.waitpid(mapper, 0)[1]
    if failed:
        kernel.map_user(proc, kernel.NOBODY, uid, gid)
