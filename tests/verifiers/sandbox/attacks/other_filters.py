"""Tries to replace the filter by its own, or have it report to a helper."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import struct

code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 1, ctypes.addressof(code)))
for flags in (0, 8):
    print("ESCAPED" if libc.syscall(317, 1, flags, program) >= 0 else ctypes.get_errno())
print("ESCAPED" if libc.prctl(22, 2, program, 0, 0) == 0 else ctypes.get_errno())
try:
    open("/etc/passwd")
    print("ESCAPED")
except OSError as error:
    print(error)
