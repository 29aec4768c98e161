"""Tries to have the kernel send SIGKILL to another process, as owner of a descriptor."""

import fcntl
import os
import sys

reader, writer = os.pipe()
victim = int(sys.argv[2])
for command, value in ((8, victim), (8, -1), (10, 9), (15, victim)):
    try:
        fcntl.fcntl(reader, command, value)
        print("set", command)
    except OSError as error:
        print(error)
try:
    fcntl.ioctl(reader, 0x8901, victim.to_bytes(4, "little"))
    fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | 0o20000)
except OSError as error:
    print(error)
os.write(writer, b"x")
