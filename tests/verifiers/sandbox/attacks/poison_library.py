"""Tries to change the interpreter's files, so that later programs run its code."""

import json
import os
import sys

for path in (json.__file__, os.path.dirname(json.__file__) + "/__pycache__/new.pyc", sys.prefix + "/lib/new.py",
             sys.executable or "/usr/bin/python3", "/usr/bin/new", "/usr/lib/new", "/etc/ld.so.preload"):
    for mode in ("a", "w", "x"):
        try:
            open(path, mode).write("x")
            print("ESCAPED", path)
        except OSError:
            pass
