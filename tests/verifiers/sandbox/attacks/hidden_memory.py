"""Tries to get memory that limits do not count: memfd, secret memory, huge pages."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for number, args in ((319, (b"x", 0)), (319, (b"x", 4)), (447, (0,))):
    print("ESCAPED" if libc.syscall(number, *args) >= 0 else ctypes.get_errno())
