"""Tries to kill every process that it may."""

import os
import signal
import sys

for target in (int(sys.argv[2]), -1, 0, os.getppid(), 1, -int(sys.argv[2])):
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            os.kill(target, number)
            print("sent", target, number)
        except OSError as error:
            print(error)
