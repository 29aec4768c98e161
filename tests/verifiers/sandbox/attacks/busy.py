"""Tries to run for ever."""
# ends: cpu

while True:
    pass
