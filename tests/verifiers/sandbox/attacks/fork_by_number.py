"""Tries to make processes by the raw calls."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os
import time

parent = os.getpid()
for number, args in ((57, ()), (58, ()), (56, (17, 0, 0, 0, 0)), (56, (0x4000 | 0x100 | 17, 0, 0, 0, 0)), (435, (0, 0))):
    if libc.syscall(number, *args) >= 0:
        print("ESCAPED")
        if os.getpid() != parent:
            time.sleep(1000)
    else:
        print(ctypes.get_errno())
