"""Tries to find secrets in the environment, also in what the process was started with."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os
import re
import sys

print("ESCAPED" if os.environ or libc.getenv(b"TRACEMILL_SECRET") or libc.getenv(b"PATH") else "empty")
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
entry = 0
while environ and environ[entry]:
    print(environ[entry])
    entry += 1
print(sys.orig_argv)
pipe = (ctypes.c_int * 2)()
libc.pipe(pipe)
page = ctypes.cast(environ, ctypes.c_void_p).value & ~0xFFF
while libc.write(pipe[1], ctypes.c_void_p(page), 4096) == 4096:  # the strings lie above, unto the stack's end
    buffer = ctypes.create_string_buffer(4096)
    libc.read(pipe[0], buffer, 4096)
    print(re.findall(rb"[A-Z_]{4,}=[ -~]+", buffer.raw))  # the harness looks for its own secret
    page += 4096
