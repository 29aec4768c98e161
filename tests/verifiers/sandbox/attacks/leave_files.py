"""Tries to leave files in the shared temporary folders of the machine."""

import tempfile

for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run", "/run/lock", "/usr/tmp", tempfile.gettempdir()):
    try:
        open(folder + "/tracemill-attack-file", "w").write("x")  # the harness looks for it
    except OSError as error:
        print(error)
