"""Tries to change limits, priority and cores of another process."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os
import sys

victim = int(sys.argv[2])
limit = (ctypes.c_uint64 * 2)(1, 1)
mask = ctypes.c_uint64(1)
for pid in (victim, os.getppid(), 1):
    for number, args in (
        (302, (pid, 0, limit, 0)),
        (141, (0, pid, 19)),
        (203, (pid, 8, ctypes.byref(mask))),
        (144, (pid, 5, ctypes.byref(ctypes.c_int(0)))),
        (251, (1, pid, 3 << 13)),
        (256, (pid, 8, ctypes.byref(mask), ctypes.byref(mask))),
    ):
        print("ESCAPED" if libc.syscall(number, *args) == 0 else ctypes.get_errno())
