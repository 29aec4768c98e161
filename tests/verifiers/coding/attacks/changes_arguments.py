"""Changes what it was given, and answers with that."""

def add(*args):
    try:
        args[0].clear()
    except AttributeError:
        pass
    return args
