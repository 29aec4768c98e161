"""Tries to fill the disk with many files, each below a limit on one."""

import time

for number in range(400):
    with open(str(number), "wb") as file:
        file.write(bytes(1 << 20))
    time.sleep(0.001)
print("ESCAPED")
