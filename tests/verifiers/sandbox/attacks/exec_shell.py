"""Tries to start a program of the machine."""

import os
import subprocess

for attempt in (
    lambda: subprocess.run(["/bin/sh", "-c", "echo ESCAPED"], check=True),
    lambda: print("ESCAPED") if os.system("echo ESCAPED") == 0 else None,
    lambda: os.posix_spawn("/bin/echo", ["echo", "ESCAPED"], {}),
    lambda: os.popen("echo ESCAPED").read(),
    lambda: os.execv("/bin/echo", ["echo", "ESCAPED"]),
    lambda: os.execv("/usr/bin/su", ["su", "-c", "echo ESCAPED"]),
):
    try:
        attempt()
    except OSError as error:
        print(error)
