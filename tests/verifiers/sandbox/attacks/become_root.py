"""Tries to get a user id, groups or capabilities back."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os

for attempt in (
    lambda: os.setgroups([0, 27]),
    lambda: os.setuid(1) or os.setuid(0),
    lambda: os.setresuid(1, 1, 1),
    lambda: os.setgid(1),
):
    try:
        attempt()
        print("ESCAPED")
    except OSError as error:
        print(error)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
held = (ctypes.c_uint32 * 6)()
libc.syscall(125, header, held)
print("ESCAPED" if any(held) else "none")
print("ESCAPED" if libc.syscall(126, header, (ctypes.c_uint32 * 6)(0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0)) == 0 else ctypes.get_errno())
for option, value in ((8, 1), (28, 0), (38, 0), (47, 2), (4, 1), (22, 1), (1, 0), (36, 1)):
    if libc.prctl(option, value, 0, 0, 0) == 0:
        print("ESCAPED prctl", option)
