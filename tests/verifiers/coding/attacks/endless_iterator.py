"""An iterator that holds everything."""

import itertools


class Everything:
    def __iter__(self):
        return itertools.count()

    def __contains__(self, value):
        return True

    def __len__(self):
        return 1


def add(a, b):
    return Everything()
