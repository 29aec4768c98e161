"""Tries to signal other processes by the less known calls."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import os
import sys

info = ctypes.create_string_buffer(128)
info[0:4] = (9).to_bytes(4, "little")
info[8:12] = (-1 & 0xFFFFFFFF).to_bytes(4, "little")
victim = int(sys.argv[2])
for number, args in (
    (129, (victim, 9, info)),
    (297, (victim, victim, 9, info)),
    (234, (victim, victim, 9)),
    (200, (victim, 9)),
    (424, (libc.syscall(434, victim, 0), 9, 0, 0)),
):
    print("ESCAPED" if libc.syscall(number, *args) == 0 else ctypes.get_errno())
