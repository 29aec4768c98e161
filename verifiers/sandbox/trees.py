"""Removes a folder that an untrusted program has filled: any depth, any modes, links not followed."""

from __future__ import annotations

import itertools
import os


def remove(top: str) -> None:
    """Nobody may write there any more. Raises OSError."""
    fresh = itertools.count()
    _open_up(top)
    while folders := _flatten(top, fresh):
        for folder in folders:
            _open_up(folder)
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):  # deep chains would end recursion, or grow longer than a path
                    _open_up(entry.path)
                    os.rename(entry.path, f"{top}/{next(fresh)}.moved")
                else:
                    os.unlink(entry.path)
            os.rmdir(folder)
    os.rmdir(top)


def _flatten(top: str, fresh: itertools.count[int]) -> list[str]:
    """The folders in `top`, under names that moved ones do not take; the files are removed."""
    folders = []
    for entry in list(os.scandir(top)):
        if entry.is_dir(follow_symlinks=False):
            _open_up(entry.path)
            folders.append(f"{top}/{next(fresh)}.opened")
            os.rename(entry.path, folders[-1])
        else:
            os.unlink(entry.path)
    return folders


def _open_up(folder: str) -> None:
    os.chmod(folder, 0o700)
