"""Tries to watch what happens in folders of the machine."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for number, args in ((253, ()), (294, (0,)), (300, (0, 0))):
    print("ESCAPED" if libc.syscall(number, *args) >= 0 else ctypes.get_errno())
