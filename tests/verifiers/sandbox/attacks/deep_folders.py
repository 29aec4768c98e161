"""Tries to nest folders so deep that whoever cleans up fails."""

import os

os.mkdir("locked", 0)
for _ in range(2000):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
open("leaf", "w").close()
