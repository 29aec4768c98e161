"""Tries to write without end from many threads at once."""
# ends: output

import os
import threading


def flood():
    while True:
        os.write(1, b"y" * 65536)


for _ in range(8):
    threading.Thread(target=flood).start()
