"""Tries to crash the interpreter."""
# ends: signalled

import ctypes

ctypes.string_at(0)
