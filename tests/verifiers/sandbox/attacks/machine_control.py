"""Tries to reboot, load modules and kernels, swap, accounting, quotas, log."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

for number, args in (
    (169, (0xFEE1DEAD, 672274793, 0x89ABCDEF, 0)),
    (175, (b"x", 1, b"")),
    (313, (0, b"", 0)),
    (246, (0, 0, 0, 0)),
    (320, (0, 0, 0, 0, 0)),
    (167, (b"/box/work/main.py", 0)),
    (163, (b"main.py",)),
    (179, (0, b"/", 0, 0)),
    (103, (3, ctypes.create_string_buffer(100), 100)),
    (153, ()),
):
    print("ESCAPED" if libc.syscall(number, *args) >= 0 else ctypes.get_errno())
