"""Tries to hang for ever without using time."""
# ends: wall

import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
signal.pause()
