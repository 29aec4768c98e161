"""Tries to lock memory that others need."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

data = ctypes.create_string_buffer(1 << 24)
print("ESCAPED" if libc.mlock(data, 1 << 24) == 0 else ctypes.get_errno())
print("ESCAPED" if libc.mlockall(3) == 0 else ctypes.get_errno())
