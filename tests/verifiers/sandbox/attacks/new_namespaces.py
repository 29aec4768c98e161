"""Tries to get capabilities in a namespace of its own: unshare, clone, clone3."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import struct

for flag in (0x10000000, 0x10020000, 0x40000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000, 0x80, 0x00020000):
    print("ESCAPED" if libc.unshare(flag) == 0 else ctypes.get_errno())
pid = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
print("ESCAPED" if pid >= 0 else ctypes.get_errno())
arguments = ctypes.create_string_buffer(struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0))
pid = libc.syscall(435, arguments, 88)
print("ESCAPED" if pid >= 0 else ctypes.get_errno())
