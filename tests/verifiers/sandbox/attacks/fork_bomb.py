"""Tries to fill the machine with processes."""
# ends: exited

import os

while True:
    try:
        os.fork()
    except OSError as error:
        print(error)
        break
