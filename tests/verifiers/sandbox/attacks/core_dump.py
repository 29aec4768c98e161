"""Tries to make the machine write or pipe its memory when it dies."""
# ends: signalled

import ctypes
import os
import resource

try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("ESCAPED")
except (OSError, ValueError) as error:
    print(error, flush=True)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
os.abort()
