"""Tries to mount, unmount and remount, by the old calls and the new ones."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)

MOUNT, UMOUNT, FSOPEN, OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 165, 166, 430, 428, 429, 442
attributes = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
for attempt in (
    lambda: libc.syscall(MOUNT, b"none", b"/box/work", b"tmpfs", 0, b""),
    lambda: libc.syscall(MOUNT, b"proc", b"/proc", b"proc", 0, b""),
    lambda: libc.syscall(MOUNT, b"/", b"/box/work", b"", 4096, b""),
    lambda: libc.syscall(MOUNT, b"none", b"/", b"", 32, b""),
    lambda: libc.syscall(UMOUNT, b"/usr", 2),
    lambda: libc.syscall(FSOPEN, b"tmpfs", 0),
    lambda: libc.syscall(OPEN_TREE, -100, b"/", 1),
    lambda: libc.syscall(MOVE_MOUNT, -100, b"/usr", -100, b"/box/work", 0),
    lambda: libc.syscall(MOUNT_SETATTR, -100, b"/", 0x8000, attributes, 32),
):
    print("ESCAPED" if attempt() >= 0 else ctypes.get_errno())
