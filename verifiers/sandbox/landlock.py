"""Landlock: which files a process and its children may touch, whatever their owner and mode (Linux 5.13 and later).

It does not cover reading metadata (stat, readlink) nor changing it (chmod, utime): the filter and namespaces do.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from tracemill.verifiers.sandbox.syscalls import call

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
MAKE = 0b1_0101_1011_0000
"""Remove files and folders, make folders, files, FIFOs and symbolic links; no devices, no sockets."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
ALL_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
ALL = (1 << 16) - 1
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1
SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    try:
        return call("landlock_create_ruleset", 0, 0, CREATE_RULESET_VERSION)
    except OSError:
        return 0


def open_rules(readable: Iterable[str]) -> list[tuple[int, int]]:
    """Opened places with the rights to read and execute there, for `restrict`; those that do not exist are left out."""
    return [rule for path in readable if (rule := _open_rule(path, READ))]


def restrict(shared: Iterable[tuple[int, int]], readable: Iterable[str], writable: Iterable[str], abi: int) -> None:
    """From now on this process can do what `shared` says, read `readable`, change `writable`, and nothing elsewhere.

    TCP and, from ABI 6, signals and abstract sockets outside are refused too. Needs no_new_privs. Raises OSError.
    """
    handled = ALL_BY_VERSION.get(abi, ALL)
    attributes = (ctypes.c_uint64 * 3)(handled, 3 if abi >= 4 else 0, SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = call("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    change = READ | WRITE_FILE | MAKE | REFER | TRUNCATE
    own = [_open_rule(path, READ) for path in readable] + [_open_rule(path, change) for path in writable]
    for rule in (*shared, *own):
        if rule:
            place, rights = rule
            beneath = _Beneath(rights & handled, place)
            call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, ctypes.byref(beneath), 0)
    call("landlock_restrict_self", ruleset, 0)
    for file in (ruleset, *(rule[0] for rule in own if rule)):
        os.close(file)


def _open_rule(path: str, rights: int) -> tuple[int, int] | None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    return place, rights if os.path.isdir(place) else rights & OF_FILES
