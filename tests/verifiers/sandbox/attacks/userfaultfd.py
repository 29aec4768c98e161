"""Tries to pause the kernel in the middle of a copy."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for flags in (0, 1, 0o2000000):
    print("ESCAPED" if libc.syscall(323, flags) >= 0 else ctypes.get_errno())
