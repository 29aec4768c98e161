"""Tries to recurse for ever."""

import sys

sys.setrecursionlimit(1 << 30)


def deeper():
    deeper()


deeper()
