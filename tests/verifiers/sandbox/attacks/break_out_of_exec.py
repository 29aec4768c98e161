"""Tries to run the sandbox's own code after the program: frames, exceptions, patched exits."""

import os
import sys

frame = sys._getframe().f_back
sys.settrace(lambda *_: None)
os._exit = lambda code: None
sys.excepthook = None
try:
    frame.f_globals["_finish"] = lambda status: print("patched") or 0
except AttributeError:
    pass
raise BaseException("out")
