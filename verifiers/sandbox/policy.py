"""Which system calls a sandboxed program may make. What is not named here is refused.

A refused call answers EPERM, or ENOSYS where it is newer than 2019 (clone3, io_uring, …): libc and runtimes then fall
back to the old call, whose arguments a filter can see.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

ALLOWED = """
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk pread64 pwrite64 readv writev access pipe
select dup dup2 fsync fdatasync ftruncate truncate getdents getdents64 getcwd chdir fchdir rename mkdir rmdir creat link
unlink symlink readlink umask openat mkdirat unlinkat renameat linkat symlinkat readlinkat faccessat faccessat2
newfstatat pselect6 ppoll fallocate dup3 pipe2 preadv pwritev preadv2 pwritev2 renameat2 copy_file_range sendfile statx
close_range fadvise64 statfs fstatfs
mremap madvise msync mincore mlock munlock membarrier pkey_alloc pkey_mprotect pkey_free get_mempolicy
getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid getrlimit
setrlimit getrusage times sysinfo uname getpriority sched_yield sched_getaffinity sched_getparam sched_getscheduler
sched_get_priority_max sched_get_priority_min getcpu exit exit_group wait4 waitid rt_sigaction rt_sigprocmask
rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack restart_syscall set_tid_address set_robust_list
rseq futex futex_waitv arch_prctl capget pause alarm getitimer setitimer timer_create timer_settime timer_gettime
timer_getoverrun timer_delete nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 timerfd_create
timerfd_settime timerfd_gettime signalfd signalfd4 recvfrom recvmsg shutdown getsockname getpeername getsockopt
getrandom
"""
METADATA = "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"
EXTENDED_ATTRIBUTES = [
    prefix + verb for verb in ("getxattr", "setxattr", "listxattr", "removexattr") for prefix in ("", "l", "f")
]

CLONE_VM_THREAD = 0x00010000
NEW_NAMESPACES = 0x7E020000
SIGKILL = 9
AF_UNIX, SOCK_STREAM = 1, 1
MAP_SHARED_ANONYMOUS = 0x21
MAP_GROWSDOWN = 0x100
HARMLESS_FCNTL = (0, 1, 2, 3, 4, 5, 36, 1030, 1032)
"""Duplicates, flags, who has a lock, pipe size. Not F_SETOWN, F_SETSIG: signals to any process of the user."""
FCNTL_LOCKS = (6, 7, 37, 38)
"""F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW."""
HARMLESS_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
HARMLESS_PRCTL = (3, 15, 16, 23, 39, 0x53564D41)
"""Get dumpable, set and get name, read the bounding set, get no_new_privs, name a mapping."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call fails with this error; 0 makes it succeed without doing anything."""

    error: int = errno.EPERM


@dataclass(frozen=True, slots=True)
class Only:
    """The call is allowed if this half of the argument, under the mask, is one of these values."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    error: int = errno.EPERM
    half: int = 0
    """1: the upper 32 bits, which only pointers and sizes use."""


@dataclass(frozen=True, slots=True)
class Never:
    """The call is refused if the argument's lower half, under the mask, is this value; `error` as in Refuse."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    error: int = errno.EPERM


Check: TypeAlias = Only | Never
Rule: TypeAlias = Refuse | tuple[Check, ...]
"""Refused, or allowed if every check passes."""


def rules(own_pid: int | None, may_fork: bool, may_exec: bool, private_files: bool) -> Mapping[str, Rule]:
    """The policy of one process.

    `own_pid`: signals go to this process only; None in a PID namespace of its own, where there is nobody else to hit.
    `may_exec`: it will be another program, whose writable memory is limited, but no shared memory or growing stacks.
    `private_files`: all that it can name and change is its own; else changes of metadata are done in appearance only.
    """
    policy: dict[str, Rule] = dict.fromkeys(ALLOWED.split(), ())
    policy |= {name: Refuse(errno.ENOTSUP) for name in EXTENDED_ATTRIBUTES}
    policy |= {name: () if private_files else Refuse(0) for name in METADATA.split()}
    if not private_files:
        policy["truncate"] = Refuse()  # by name; Landlock covers it only from version 3 on
    to_self = () if own_pid is None else (Only(0, (own_pid,)),)
    # Nobody but the kernel's out-of-memory killer and us can then have sent it.
    no_kill = () if may_fork else (Never(1, SIGKILL),)
    policy["kill"] = (*to_self, *no_kill)
    policy["tgkill"] = (*to_self, *(() if may_fork else (Never(2, SIGKILL),)))
    policy["prlimit64"] = (Only(0, (0,)),)
    # Locks of files that all may read would hold up programs outside. SQLite will not work where it gets none, or where
    # it may not ask who has one.
    policy["flock"] = Refuse(0)
    no_locks = (Never(1, command, error=0) for command in FCNTL_LOCKS)
    policy["fcntl"] = (
        *no_locks,
        Only(1, HARMLESS_FCNTL, error=errno.EINVAL),
    )
    policy["ioctl"] = (Only(1, HARMLESS_IOCTL, error=errno.ENOTTY),)
    policy["prctl"] = (Only(0, HARMLESS_PRCTL),)
    # The event loop of asyncio wakes itself through a pair of connected sockets. Datagrams could be sent elsewhere.
    policy["socketpair"] = (Only(0, (AF_UNIX,)), Only(1, (SOCK_STREAM,), mask=0xF))
    policy["sendto"] = (Only(4, (0,)), Only(4, (0,), half=1))
    policy["clone"] = (Only(0, (0,), mask=NEW_NAMESPACES),)
    if may_fork:
        policy |= {"fork": (), "vfork": ()}
    else:
        policy["clone"] = (Only(0, (CLONE_VM_THREAD,), mask=NEW_NAMESPACES | CLONE_VM_THREAD),)
    if may_exec:
        policy["execve"] = ()
        shared = Never(3, MAP_SHARED_ANONYMOUS, mask=MAP_SHARED_ANONYMOUS)
        policy["mmap"] = (shared, Never(3, MAP_GROWSDOWN, mask=MAP_GROWSDOWN))
    return policy


def known(policy: Mapping[str, Rule], numbers: Mapping[str, int]) -> Iterable[tuple[int, Rule]]:
    """The rules by number, in order; calls that this machine does not have are left out."""
    return sorted(((numbers[name], rule) for name, rule in policy.items() if name in numbers), key=lambda pair: pair[0])
