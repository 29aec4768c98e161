"""Tries to leave a process behind: fork twice, new session."""

import os
import time

try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
except OSError as error:
    print(error)
try:
    os.setsid()
    print("new session")
except OSError as error:
    print(error)
