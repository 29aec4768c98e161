"""Tries to make a socket of any family and kind."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for family in range(48):
    for kind in (1, 2, 3, 4, 5, 10, 1 | 0o4000, 2 | 0o2000000):
        for protocol in (0, 6, 17, 255):
            if libc.socket(family, kind, protocol) >= 0:
                print("ESCAPED", family, kind, protocol)
