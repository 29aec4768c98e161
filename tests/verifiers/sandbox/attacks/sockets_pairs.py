"""Tries to make pairs of sockets that reach further than each other."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

import socket

pair = (ctypes.c_int * 2)()
for family in range(48):
    for kind in (1, 2, 3, 5):
        if (family, kind) != (1, 1) and libc.socketpair(family, kind, 0, pair) >= 0:
            print("ESCAPED", family, kind)
ours, theirs = socket.socketpair()
for attempt in (
    lambda: ours.sendmsg([b"x"], [], 0, "\0tracemill"),
    lambda: ours.sendto(b"x", "/dev/log"),
    lambda: ours.bind("mine"),
    lambda: ours.connect("/dev/log"),
    lambda: ours.listen(),
    lambda: ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1),
    lambda: socket.send_fds(ours, [b"x"], [0]),
):
    try:
        attempt()
        print("ESCAPED")
    except OSError as error:
        print(error)
