"""Tries to reach a file of the machine through links in its own folder."""

import os
import sys

target = sys.argv[1] + "/secret"
os.symlink(target, "soft")
os.symlink("/", "rooted")
os.symlink("/proc/self/root", "magic")
for name in ("soft", "rooted" + target, "magic" + target):
    try:
        print("ESCAPED", open(name).read())
    except OSError as error:
        print(error)
    try:
        open(name, "a").write("x")
        print("ESCAPED")
    except OSError as error:
        print(error)
