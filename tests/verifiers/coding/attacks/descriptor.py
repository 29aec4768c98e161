"""An attribute that answers differently each time."""

class Turning:
    values = iter(range(10**9))

    def __getattr__(self, name):
        return next(self.values)

    __getitem__ = __getattr__
    __int__ = __len__ = lambda self: 5
    __str__ = __repr__ = lambda self: str(next(self.values) % 7)


def add(a, b):
    return Turning()
