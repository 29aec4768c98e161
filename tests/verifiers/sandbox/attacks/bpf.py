"""Tries to load a program into the kernel."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

attributes = ctypes.create_string_buffer(128)
for command in range(8):
    print("ESCAPED" if libc.syscall(321, command, attributes, 128) >= 0 else ctypes.get_errno())
