"""Tries to find descriptors that the sandbox left open."""

import os

for file in range(3, 4096):
    try:
        os.fstat(file)
        print("ESCAPED", file)
    except OSError:
        pass
