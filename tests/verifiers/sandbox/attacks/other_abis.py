"""Tries to call the kernel by its 32-bit entry and by the x32 numbers, which a filter may forget."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import mmap
import os
import platform

print("ESCAPED" if libc.syscall(0x40000000 + 41, 2, 1, 0) >= 0 else ctypes.get_errno())
print("ESCAPED" if libc.syscall(0x40000000 + 2, b"/etc/passwd", 0) >= 0 else ctypes.get_errno())
if platform.machine() == "x86_64":
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("53 b8 02000000 cd80 5b c3"))  # push rbx; mov eax, 2 (fork of the 32-bit table); int 0x80
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    parent = os.getpid()
    print("ESCAPED" if ctypes.CFUNCTYPE(ctypes.c_int)(address)() >= 0 else "refused", parent)
