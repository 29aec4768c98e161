"""Tries to steer the kernel through /proc and /sys."""

import os

for path, text in (
    ("/proc/sys/kernel/hostname", "x"),
    ("/proc/sys/kernel/core_pattern", "|/box/work/x"),
    ("/proc/sysrq-trigger", "h"),
    ("/proc/self/oom_score_adj", "-1000"),
    ("/proc/self/mem", "x"),
    ("/proc/self/uid_map", "0 0 1"),
    ("/sys/kernel/uevent_helper", "/box/work/x"),
    ("/sys/fs/cgroup/cgroup.procs", "0"),
    ("/sys/power/state", "mem"),
):
    try:
        with open(path, "w") as file:
            file.write(text)
        print("ESCAPED", path)
    except OSError as error:
        print(error)
try:
    os.mkdir("/sys/fs/cgroup/attack")
    print("ESCAPED")
except OSError as error:
    print(error)
