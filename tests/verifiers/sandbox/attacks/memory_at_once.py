"""Tries to ask for more memory than there is, in one piece."""
# ends: memory

print(len(bytearray(1 << 44)))
