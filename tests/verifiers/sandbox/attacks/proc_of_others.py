"""Tries to read other processes through /proc: environment, memory, descriptors, root."""

import glob
import os
import sys

victim = sys.argv[2]
for pid in (victim, "1", str(os.getppid()), "self", "thread-self"):
    for name in ("environ", "cmdline", "maps", "mem", "cwd/secret", "root/etc/passwd", "fd/0", "task"):
        path = f"/proc/{pid}/{name}"
        try:
            data = open(path, "rb").read(100) if name != "task" else os.listdir(path)
            if pid not in ("self", "thread-self"):
                print("ESCAPED", path, data)
        except OSError:
            pass
print(glob.glob("/proc/[0-9]*/fd/*"))
if any(int(name) for name in glob.glob1("/proc", "[0-9]*")):
    print("ESCAPED", "sees processes")
