"""Tries to stop or kill the process that watches it."""
# ends: cpu

import os
import signal

for target in (os.getppid(), 1, os.getpgid(0) - 1, os.getpid() - 1):
    for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        try:
            if target > 0:
                os.kill(target, number)
        except OSError as error:
            print(error)
while True:
    pass
