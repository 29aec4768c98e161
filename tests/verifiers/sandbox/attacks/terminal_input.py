"""Tries to type into a terminal of its caller."""

import fcntl

for file in range(3):
    for request, value in ((0x5412, b"x"), (0x541C, b"x"), (0x540E, 0), (0x5423, b"0000")):
        try:
            fcntl.ioctl(file, request, value)
            print("ESCAPED", file, request)
        except OSError as error:
            print(error)
