"""Tries to change mode, owner, times and attributes of a file of the machine, which Landlock does not watch."""

import os
import sys

target = sys.argv[1] + "/secret"
for attempt in (
    lambda: os.chmod(target, 0o777),
    lambda: os.chmod(sys.argv[1], 0o777),
    lambda: os.chown(target, os.getuid(), os.getgid()),
    lambda: os.utime(target, (0, 0)),
    lambda: os.setxattr(target, "user.x", b"x"),
    lambda: os.chmod("/dev/null", 0o777),
    lambda: os.chmod(sys.prefix, 0o777),
    lambda: os.utime("/usr/bin", (0, 0)),
):
    try:
        attempt()  # the harness looks whether anything came of it
    except OSError as error:
        print(error)
