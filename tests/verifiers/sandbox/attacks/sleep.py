"""Tries to wait for ever."""
# ends: wall

import time

time.sleep(10_000)
