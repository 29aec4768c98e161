"""Removes a folder that an untrusted program has filled: any depth, any modes, links not followed."""

from __future__ import annotations

import itertools
import os


def remove(top: str) -> None:
    """Whoever still writes there changes no more than what is removed. Raises OSError."""
    fresh = itertools.count()
    place = _open(top)
    try:
        while folders := _empty(place, place, fresh, "opened"):
            for name in folders:
                folder = _open(name, place)
                try:
                    _empty(folder, place, fresh, "moved")
                finally:
                    os.close(folder)
                os.rmdir(name, dir_fd=place)
    finally:
        os.close(place)
    os.rmdir(top)


def _empty(folder: int, place: int, fresh: itertools.count[int], mark: str) -> list[str]:
    """Remove the files in `folder`, move its folders to `place` (deep chains would end recursion, or grow longer than
    a path); their names there."""
    names = []
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            os.close(_open(entry.name, folder))  # one that may not be written cannot be moved
            names.append(f"{next(fresh)}.{mark}")
            os.rename(entry.name, names[-1], src_dir_fd=folder, dst_dir_fd=place)
        else:
            os.unlink(entry.name, dir_fd=folder)
    return names


def _open(name: str, folder: int | None = None) -> int:
    """That folder, no link, opened after all that it forbids is allowed."""
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    seen = os.open(name, os.O_PATH | flags, dir_fd=folder)
    try:
        os.chmod(f"/proc/self/fd/{seen}", 0o700)  # this very one; fchmod takes no O_PATH, and no other open may succeed
        return os.open(".", os.O_RDONLY | flags, dir_fd=seen)
    finally:
        os.close(seen)
