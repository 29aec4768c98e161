"""Tries to share memory, semaphores and queues with processes outside, by key."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for number, args in (
    (29, (0x7ACE, 4096, 0o1666)),
    (64, (0x7ACE, 1, 0o1666)),
    (68, (0x7ACE, 0o1666)),
    (240, (b"tracemill", 0o102, 0o666, None)),
    (31, (0, 2, None)),
):
    print("ESCAPED" if libc.syscall(number, *args) >= 0 else ctypes.get_errno())
