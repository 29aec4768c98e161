"""The filter does what the policy says, for every system call of both machines that we know."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.sandbox import policy as p
from tracemill.verifiers.sandbox import seccomp, syscalls

X86, ARM = 0xC000003E, 0xC00000B7
TABLES = {X86: syscalls._table(syscalls.X86_64), ARM: syscalls._table(syscalls.AARCH64)}
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def answer(code: bytes, number: int, arguments: tuple[int, ...] = (0,) * 6, arch: int = X86) -> int:
    """What the kernel's interpreter of classic BPF would return."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *arguments)
    place, register = 0, 0
    while True:
        operation, yes, no, value = struct.unpack_from("=HBBI", code, 8 * place)
        place += 1
        if operation == 0x20:
            (register,) = struct.unpack_from("=I", data, value)
        elif operation == 0x54:
            register &= value
        elif operation == 0x05:
            place += value
        elif operation == 0x15:
            place += yes if register == value else no
        elif operation == 0x35:
            place += yes if register >= value else no
        else:
            assert operation == 0x06
            return int(value)


@pytest.mark.parametrize("arch", TABLES)
@pytest.mark.parametrize("own_pid", [None, 77])
@pytest.mark.parametrize("may_fork", [False, True])
@pytest.mark.parametrize("may_exec", [False, True])
def test_every_number_is_answered_by_its_rule(arch: int, own_pid: int | None, may_fork: bool, may_exec: bool) -> None:
    policy = p.rules(own_pid, may_fork, may_exec, private_files=own_pid is None)
    code = seccomp.compile_filter(policy, TABLES[arch], arch)
    rules = dict(p.known(policy, TABLES[arch]))
    assert len(code) // 8 < 4096
    for number in [*range(600), 0x40000000, 0x40000029, 0xFFFFFFFF - (1 << 32)]:
        rule = rules.get(number)
        if rule == ():
            assert answer(code, number, arch=arch) == ALLOW
        elif isinstance(rule, p.Refuse):
            assert answer(code, number, arch=arch) == ERROR | rule.error
        elif rule is None:
            unnamed = errno.EPERM if 0 <= number < 424 else errno.ENOSYS
            assert answer(code, number, arch=arch) == ERROR | unnamed


def test_other_machines_numbers_kill() -> None:
    code = seccomp.compile_filter(p.rules(None, False, False, True), TABLES[X86], X86)
    assert answer(code, 0, arch=0x40000003) == KILL


@given(flags=st.integers(0, (1 << 32) - 1), may_fork=st.booleans())
def test_clone_makes_no_namespaces_and_without_leave_only_threads(flags: int, may_fork: bool) -> None:
    code = seccomp.compile_filter(p.rules(None, may_fork, False, True), TABLES[X86], X86)
    allowed = not flags & p.NEW_NAMESPACES and (may_fork or bool(flags & 0x10000))
    assert answer(code, TABLES[X86]["clone"], (flags, 0, 0, 0, 0, 0)) == (ALLOW if allowed else ERROR | errno.EPERM)


@given(target=st.integers(0, (1 << 32) - 1), number=st.integers(0, 64))
def test_signals_stay_at_home(target: int, number: int) -> None:
    code = seccomp.compile_filter(p.rules(77, False, False, False), TABLES[X86], X86)
    allowed = target == 77 and number != 9
    assert (answer(code, TABLES[X86]["kill"], (target, number, 0, 0, 0, 0)) == ALLOW) == allowed
    assert (answer(code, TABLES[X86]["tgkill"], (target, 1, number, 0, 0, 0)) == ALLOW) == allowed
    assert (answer(code, TABLES[X86]["prlimit64"], (target, 1, 0, 0, 0, 0)) == ALLOW) == (target == 0)


@given(address=st.integers(0, (1 << 64) - 1), kind=st.integers(0, 1 << 20), family=st.integers(0, 50))
def test_sockets_are_pairs_and_send_to_their_peer(address: int, kind: int, family: int) -> None:
    code = seccomp.compile_filter(p.rules(None, True, True, True), TABLES[X86], X86)
    assert (answer(code, TABLES[X86]["sendto"], (3, 0, 0, 0, address, 0)) == ALLOW) == (address == 0)
    allowed = family == 1 and kind & 0xF == 1
    assert (answer(code, TABLES[X86]["socketpair"], (family, kind, 0, 0, 0, 0)) == ALLOW) == allowed


@given(flags=st.integers(0, (1 << 32) - 1))
def test_other_programs_get_no_shared_memory_that_is_not_counted(flags: int) -> None:
    code = seccomp.compile_filter(p.rules(None, False, True, True), TABLES[X86], X86)
    assert (answer(code, TABLES[X86]["mmap"], (0, 4096, 3, flags, 0, 0)) == ALLOW) == (
        flags & 0x21 != 0x21 and not flags & 0x100
    )


@pytest.mark.parametrize("private_files", [False, True])
def test_locks_of_files_are_had_in_appearance_only(private_files: bool) -> None:
    code = seccomp.compile_filter(p.rules(None, True, True, private_files), TABLES[X86], X86)
    assert answer(code, TABLES[X86]["flock"], (3, 2, 0, 0, 0, 0)) == ERROR
    for command, result in {3: ALLOW, 5: ALLOW, 36: ALLOW, 8: ERROR | errno.EINVAL}.items():
        assert answer(code, TABLES[X86]["fcntl"], (3, command, 0, 0, 0, 0)) == result
    for command in (6, 7, 37, 38):
        assert answer(code, TABLES[X86]["fcntl"], (3, command, 0, 0, 0, 0)) == ERROR
