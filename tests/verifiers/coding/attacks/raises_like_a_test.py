"""Raises what the runner of the tests itself raises."""

class Stop(BaseException):
    pass


class Passed(StopIteration):
    pass


def add(a, b):
    raise (Stop, Passed, GeneratorExit, KeyboardInterrupt, AssertionError)[a % 5]
