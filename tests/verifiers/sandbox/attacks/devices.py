"""Tries to open or make the machine's devices."""

import os
import stat

for path in ("/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/ptmx", "/dev/kvm",
             "/dev/fuse", "/dev/loop-control", "/dev/net/tun", "/dev/port", "/dev/console"):
    for flags in (os.O_RDONLY, os.O_RDWR):
        try:
            os.open(path, flags)
            print("ESCAPED", path)
        except OSError:
            pass
for major, minor in ((1, 1), (254, 0), (8, 0), (5, 1)):
    try:
        os.mknod(f"d{major}", 0o600 | stat.S_IFBLK, os.makedev(major, minor))
        os.open(f"d{major}", os.O_RDONLY)
        print("ESCAPED")
    except OSError as error:
        print(error)
