"""Tries to list folders outside its own."""

import os
import sys

OUTSIDE = {"secret", "passwd", "hosts", "boot", "srv", "mnt", "log", "sda", "vda", "tty", "kernel", "cpuinfo", ".ssh", ".bashrc"}
for folder in (sys.argv[1], "/", "/root", "/home", "/var", "/etc", "/proc", "/sys", "/dev", "/tmp/..", "../..", "../../.."):
    try:
        names = os.listdir(folder)
    except OSError as error:
        print(error)
        continue
    if OUTSIDE & set(names) or any(name.isdigit() for name in names):
        print("ESCAPED", folder, names)
