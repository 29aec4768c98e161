"""Tries to change a file of the machine in every way there is."""

import os
import shutil
import sys

target = sys.argv[1] + "/secret"
for attempt in (
    lambda: open(target, "a").write("x"),
    lambda: open(target, "w"),
    lambda: open(target, "r+").write("x"),
    lambda: os.truncate(target, 0),
    lambda: os.unlink(target),
    lambda: os.rename(target, target + "2"),
    lambda: os.link(target, "mine"),
    lambda: shutil.rmtree(sys.argv[1]),
    lambda: os.mkdir(sys.argv[1] + "/new"),
    lambda: os.symlink("/", sys.argv[1] + "/new"),
    lambda: os.mkfifo(sys.argv[1] + "/new"),
    lambda: open(sys.argv[1] + "/new", "x"),
):
    try:
        attempt()
        print("ESCAPED")
    except OSError as error:
        print(error)
