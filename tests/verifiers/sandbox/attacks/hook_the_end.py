"""Tries to run on after its end: exit handlers, hooks, destructors, threads."""
# ends: wall

import atexit
import sys
import threading
import time


class Late:
    def __del__(self):
        time.sleep(1000)


late = Late()
sys.excepthook = lambda *_: time.sleep(1000)
atexit.register(time.sleep, 1000)
threading.Thread(target=time.sleep, args=(1000,)).start()
raise ValueError
