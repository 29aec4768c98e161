"""Tries to be spared when memory ends: by lowering what the kernel was told to take first."""

try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")
    print("ESCAPED")
except OSError as error:
    print(error)
