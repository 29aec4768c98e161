"""Tries to fill the machine with threads."""

import threading
import time

threading.stack_size(32768)
started = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        started += 1
        if started > 200:
            print("ESCAPED", started)
            break
except RuntimeError as error:
    print(started, error)
time.sleep(0.3)
