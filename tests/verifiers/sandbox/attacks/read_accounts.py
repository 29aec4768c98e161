"""Tries to read the machine's accounts, keys and logs."""

import glob

for path in ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/ssh/*", "/root/.*", "/home/*/.*", "/var/log/*"):
    for name in glob.glob(path) or [path]:
        try:
            with open(name, "rb") as file:
                print("ESCAPED", name, file.read(20))
        except OSError:
            pass
