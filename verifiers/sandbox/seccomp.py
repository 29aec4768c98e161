"""A policy as a seccomp filter: classic BPF that finds a call's number by halving, 7 steps in place of 200."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Mapping, Sequence
from itertools import groupby

from tracemill.verifiers.sandbox import policy as p
from tracemill.verifiers.sandbox.kernel import PR_SET_NO_NEW_PRIVS, prctl
from tracemill.verifiers.sandbox.syscalls import AUDIT_ARCH, NUMBERS, call

LOAD, EQUAL, AT_LEAST, MASK, JUMP, RETURN = 0x20, 0x15, 0x35, 0x54, 0x05, 0x06
RET_KILL, RET_ERROR, RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16
FIRST_OF_2019 = 424
"""From here on all machines count alike, and what we do not name is answered ENOSYS."""
SET_MODE_FILTER = 1

Code = list[tuple[int, int, int, int]]
"""Instructions: operation, jumps if true and if false (how many to skip), constant."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def compile_filter(policy: Mapping[str, p.Rule], numbers: Mapping[str, int] = NUMBERS, arch: int = AUDIT_ARCH) -> bytes:
    """The filter's bytes."""
    rules = dict(p.known(policy, numbers))
    edges = sorted({0, FIRST_OF_2019, *rules, *(number + 1 for number in rules)})
    spans = [(start, rules.get(start, _unnamed(start))) for start in edges]
    merged = [next(group) for _, group in groupby(spans, key=lambda span: span[1])]
    head: Code = [(LOAD, 0, 0, ARCH_AT), (EQUAL, 1, 0, arch), (RETURN, 0, 0, RET_KILL), (LOAD, 0, 0, NUMBER_AT)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in head + _search(merged))


def install(code: bytes) -> None:
    """From now on, and for every child and exec. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    program = _Program(len(code) // 8, code)
    call("seccomp", SET_MODE_FILTER, 0, ctypes.byref(program))


def _unnamed(number: int) -> p.Rule:
    return p.Refuse(errno.ENOSYS if number >= FIRST_OF_2019 else errno.EPERM)


def _search(spans: Sequence[tuple[int, p.Rule]]) -> Code:
    if len(spans) == 1:
        return _leaf(spans[0][1])
    half = len(spans) // 2
    low, high = _search(spans[:half]), _search(spans[half:])
    if len(low) < 256:
        return [(AT_LEAST, len(low), 0, spans[half][0]), *low, *high]
    return [(AT_LEAST, 0, 1, spans[half][0]), (JUMP, 0, 0, len(low)), *low, *high]


def _leaf(rule: p.Rule) -> Code:
    if isinstance(rule, p.Refuse):
        return [(RETURN, 0, 0, RET_ERROR | rule.error)]
    code: Code = []
    for check in rule:
        half = check.half if isinstance(check, p.Only) else 0
        code += [(LOAD, 0, 0, ARGUMENTS_AT + 8 * check.argument + 4 * half), (MASK, 0, 0, check.mask)]
        if isinstance(check, p.Never):
            code += [(EQUAL, 0, 1, check.value), (RETURN, 0, 0, RET_ERROR | check.error)]
            continue
        left = len(check.values)
        for position, value in enumerate(check.values):
            code.append((EQUAL, left - position, 0, value))
        code.append((RETURN, 0, 0, RET_ERROR | check.error))
    return [*code, (RETURN, 0, 0, RET_ALLOW)]
