"""Tries to use all memory by shared maps, which a limit on private memory does not count."""

import mmap

kept = []
while True:
    kept.append(mmap.mmap(-1, 1 << 26))
    for place in range(0, 1 << 26, 4096):
        kept[-1][place] = 1
