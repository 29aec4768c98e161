"""Tries to run for ever inside one call of C code, where no handler runs."""
# ends: cpu

print(9**9**9)
