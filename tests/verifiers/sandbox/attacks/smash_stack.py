"""Tries to overwrite its own stack and code by ctypes."""
# ends: signalled

import ctypes

buffer = ctypes.create_string_buffer(8)
ctypes.memset(ctypes.addressof(buffer) - (1 << 16), 0x41, 1 << 24)
