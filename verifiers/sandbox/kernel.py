"""The few kernel calls that the sandbox makes and Python lacks: namespaces, mounts, privileges."""

from __future__ import annotations

import contextlib
import ctypes
import os

from tracemill.verifiers.sandbox.syscalls import call

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
SIGCHLD = 17

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_RECURSIVE = 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CAPABILITY_VERSION_3 = 0x20080522
NOBODY = 65534
"""The uid that programs see, and the one that they have where we may choose."""


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def fork_into(namespaces: int) -> int:
    """As os.fork, with new namespaces. For a single-threaded process; the child should do little but fork again, since
    libc still has the parent's thread id in it."""
    return call("clone", namespaces | SIGCHLD, 0, 0, 0, 0)


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    call("prctl", option, value, 0, 0, 0)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Raises OSError."""
    call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


def restrict_mounts(target: str, attributes: int) -> None:
    """Set attributes on a mount and all mounts below it (mount_setattr, Linux 5.12). Raises OSError."""
    values = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    call("mount_setattr", -100, target.encode(), AT_RECURSIVE, ctypes.byref(values), ctypes.sizeof(values))


def map_user(proc: int, inside: int, uid: int, gid: int) -> None:
    """Give the user and group that were ours the number `inside` in our new user namespace. `proc`: /proc, opened."""
    write_at(proc, "self/setgroups", "deny")
    write_at(proc, "self/uid_map", f"{inside} {uid} 1")
    write_at(proc, "self/gid_map", f"{inside} {gid} 1")


def write_at(folder: int, path: str, text: str) -> None:
    """Write a file that exists, such as one of /proc."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def drop_capabilities() -> None:
    """Give up every capability. With no_new_privs, no exec brings one back, not even for uid 0."""
    nothing = (_Capabilities * 2)()
    call("capset", ctypes.byref(_CapabilityHeader(CAPABILITY_VERSION_3, 0)), ctypes.byref(nothing))


def become_nobody() -> None:
    """Root only: take the uid and gid that own nothing. The process stays able to open its own /proc files."""
    with contextlib.suppress(PermissionError):  # refused in user namespaces without setgroups
        os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_DUMPABLE, 1)


def nobody_can_read(path: str) -> bool:
    """Whether a process of that uid could open a file of ours. Root only."""
    pid = os.fork()
    if pid == 0:
        readable = False
        try:
            become_nobody()
            readable = os.access(path, os.R_OK)
        finally:
            os._exit(0 if readable else 1)
    return os.waitpid(pid, 0)[1] == 0
