"""Tries to do input and output past the filter, in a ring."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

parameters = ctypes.create_string_buffer(256)
print("ESCAPED" if libc.syscall(425, 8, parameters) >= 0 else ctypes.get_errno())
print("ESCAPED" if libc.syscall(426, 0, 1, 0, 0, 0, 0) >= 0 else ctypes.get_errno())
print("ESCAPED" if libc.syscall(427, 0, 0, 0, 0) >= 0 else ctypes.get_errno())
