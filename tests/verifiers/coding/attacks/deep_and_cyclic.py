"""Values that break the one who reads them."""

def add(a, b):
    value = []
    for _ in range(100000):
        value = [value]
    if a % 2:
        value = []
        value.append(value)
    return value
