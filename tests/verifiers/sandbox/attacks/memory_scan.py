"""Tries to read its whole address space for what other runs left in it."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import re

word = re.compile(rb"anothe[r] run's inpu[t]")
heap = id(object()) & ~0xFFFFF
read = 0
pipe = (ctypes.c_int * 2)()
libc.pipe(pipe)
for page in range(heap - (32 << 20), heap + (32 << 20), 4096):
    if libc.write(pipe[1], ctypes.c_void_p(page), 4096) == 4096:  # EFAULT where nothing is mapped
        buffer = ctypes.create_string_buffer(4096)
        libc.read(pipe[0], buffer, 4096)
        read += 1
        if word.search(buffer.raw):
            print("ESCAPED")
print(read)
