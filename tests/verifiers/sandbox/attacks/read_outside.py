"""Tries to read a file of the machine, by its path, by .. and by a path that starts at another folder."""

import os
import sys

target = sys.argv[1] + "/secret"
root = os.open("/", os.O_RDONLY | os.O_PATH)
for attempt in (
    lambda: open(target).read(),
    lambda: open("../" * 30 + target.lstrip("/")).read(),
    lambda: open(os.open(target.lstrip("/"), os.O_RDONLY, dir_fd=root)).read(),
):
    try:
        print("ESCAPED", attempt())
    except OSError as error:
        print(error)
