"""Tries to write to the pipes and sockets that the sandbox reports over."""

import os

for file in range(3, 1024):
    try:
        os.write(file, b"\x00" * 64)
        print("ESCAPED", file)
    except OSError:
        pass
