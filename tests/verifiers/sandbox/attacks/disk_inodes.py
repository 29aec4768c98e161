"""Tries to make more empty files than a disk has room for."""

import os

for number in range(1_000_000):
    os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY))
    if number > 200_000:
        print("ESCAPED")
        break
