"""Tries to overflow the C stack by nested data."""

import sys

sys.setrecursionlimit(1 << 30)
nested = []
for _ in range(200_000):
    nested = [nested]
repr(nested)
