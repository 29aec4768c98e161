"""Tries to join the namespaces of another process."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os
import sys

for pid in (sys.argv[2], "1", str(os.getppid())):
    for kind in ("user", "mnt", "net", "pid", "ipc", "uts"):
        try:
            file = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        except OSError:
            file = libc.syscall(434, int(pid), 0)
        print("ESCAPED" if libc.syscall(308, file, 0x7E020080) == 0 else ctypes.get_errno())
