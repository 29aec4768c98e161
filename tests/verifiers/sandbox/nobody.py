"""Runs a module's main as uid 65534, started by root: `nobody.py battery.py ARGUMENTS`.

Where that user cannot read the interpreter or this project (both may lie in root's home), they are shown to it at their
own places, in a mount namespace of this process.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from tracemill.verifiers.sandbox import kernel
from tracemill.verifiers.sandbox.syscalls import call

PROJECT = Path(__file__).resolve().parents[3]


def closed_folders(paths: list[Path]) -> set[Path]:
    """Topmost folders above these that others may not enter."""
    found = set()
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                found.add(folder)
                break
    return found


def main() -> None:
    shown = list({Path(sys.base_prefix), Path(sys.prefix), PROJECT})
    shown = [path for path in shown if not any(other in path.parents for other in shown)]
    covered = closed_folders(shown)
    if covered:
        call("unshare", kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        opened = {path: os.open(path, os.O_PATH) for path in shown}
        for folder in covered:
            kernel.mount("none", str(folder), "tmpfs", 0, "mode=755")
        for path, place in opened.items():
            if covered & set(path.parents):
                path.mkdir(parents=True)
                kernel.mount(f"/proc/self/fd/{place}", str(path), flags=kernel.MS_BIND | kernel.MS_REC)
            os.close(place)
    kernel.become_nobody()
    os.chdir("/")
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
