"""Tries to outlive its time by ignoring and blocking every signal."""
# ends: cpu

import signal

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))
while True:
    pass
