"""Tries to set the machine's clock and name."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import time

now = (ctypes.c_int64 * 2)(int(time.time()), 0)
for number, args in (
    (164, (now, 0)),
    (227, (0, now)),
    (159, (ctypes.create_string_buffer(b"\x01" + bytes(255)),)),
    (305, (0, ctypes.create_string_buffer(b"\x01" + bytes(255)))),
    (170, (b"x", 1)),
    (171, (b"x", 1)),
):
    print("ESCAPED" if libc.syscall(number, *args) >= 0 else ctypes.get_errno())
