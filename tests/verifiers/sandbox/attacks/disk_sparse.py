"""Tries to make a file that is huge in name, and write at its end."""

import os

file = os.open("sparse", os.O_RDWR | os.O_CREAT)
for size in (1 << 60, 1 << 40, 1 << 30):
    try:
        os.ftruncate(file, size)
        os.pwrite(file, b"x", size - 1)
        print("ESCAPED")
    except OSError as error:
        print(error)
try:
    os.posix_fallocate(file, 0, 1 << 30)
    print("ESCAPED")
except OSError as error:
    print(error)
