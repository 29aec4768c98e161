"""Tiers 2 and 3: counts what the kernel does not limit for us there, processes, threads and disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tracemill.verifiers.sandbox.types import Ending, Limits

MOST_FILES = 4096
"""As many as tier 1's file system has room for."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def excess(proc: int, leader: int, home: str, limits: Limits) -> Ending | None:
    """How to end a program that has more than it may; None where it keeps within. `leader` leads its process group."""
    most = limits.processes + limits.threads
    tasks = _tasks_of(proc, leader)[1] if limits.processes == 1 else _tasks_of_group(proc, leader)
    if tasks > most:
        return Ending.SIGNALLED
    return Ending.OUTPUT if _is_full(home, int(limits.file_mb * (1 << 20))) else None


def tasks_of_user(proc: int, uid: int) -> int:
    """Processes and threads of that user on the machine."""
    count = 0
    for name in filter(str.isdigit, os.listdir(proc)):
        with contextlib.suppress(OSError):
            if os.stat(name, dir_fd=proc).st_uid == uid:
                count += _tasks_of(proc, int(name))[1]
    return count


def _tasks_of(proc: int, pid: int) -> tuple[int, int]:
    """Process group and number of threads; zeros where it is gone."""
    try:
        file = os.open(f"{pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:
        return 0, 0
    try:
        fields = os.read(file, 4096).rpartition(b")")[2].split()
    except ProcessLookupError:
        return 0, 0
    finally:
        os.close(file)
    return int(fields[2]), int(fields[17])


def _tasks_of_group(proc: int, leader: int) -> int:
    found = (_tasks_of(proc, int(name)) for name in os.listdir(proc) if name.isdigit())
    return sum(threads for group, threads in found if group == leader)


def _is_full(home: str, most: int) -> bool:
    """Whether the writable folders hold more than that, or too many files, or what cannot be counted: a folder that may
    not be read, a chain deeper than we may have files open."""
    size, count = 0, 0
    opened: list[tuple[int, list[str]]] = []  # from the top down: folders, and names in each that are still to be seen
    try:
        place = os.open(home, FOLDER)
        opened.append((place, ["work", "tmp"]))
        while opened:
            place, names = opened[-1]
            if not names:
                os.close(opened.pop()[0])
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # meanwhile
                opened.append((os.open(names.pop(), FOLDER, dir_fd=place), []))
                place, names = opened[-1]
                for size_on_disk, folder in _entries(place):
                    size, count = size + size_on_disk, count + 1
                    names += folder
                    if size > most or count > MOST_FILES:
                        return True
    except OSError:
        return True
    finally:
        for place, _ in opened:
            os.close(place)
    return False


def _entries(place: int) -> Iterator[tuple[int, list[str]]]:
    """Of each entry its bytes on the disk, and its name if it is a folder. What vanishes meanwhile does not count."""
    with os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                size = entry.stat(follow_symlinks=False).st_blocks * 512
                yield size, [entry.name] if entry.is_dir(follow_symlinks=False) else []
