"""Tries to measure the kernel and other processes."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

attributes = ctypes.create_string_buffer(128)
attributes[4:8] = (128).to_bytes(4, "little")
for pid in (0, -1):
    print("ESCAPED" if libc.syscall(298, attributes, pid, 0, -1, 0) >= 0 else ctypes.get_errno())
