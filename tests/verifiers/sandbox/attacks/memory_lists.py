"""Tries to use all memory, object by object."""
# ends: memory

kept = []
while True:
    kept.append(bytearray(1 << 20))
