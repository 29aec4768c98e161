"""What it takes for files to outlive a power cut, and one line for a disk that fails. Local file systems only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from deltalake.exceptions import DeltaError

from tracemill.core.errors import CorpusError


@contextmanager
def durable(path: Path) -> Iterator[None]:
    """Turns what a full disk, a missing permission or a broken table raises into one line."""
    try:
        yield
    except (OSError, DeltaError) as error:
        raise CorpusError(
            f"{path}: cannot be written ({first_line(error)}); nothing durable is lost: "
            "free space or mend it, then run again"
        ) from error


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_commit(table: Path, version: int) -> None:
    """Make a commit of a Delta table durable: deltalake leaves its files to the kernel (1.6.6)."""
    log = table / "_delta_log"
    commit = log / f"{version:020d}.json"
    actions = [json.loads(line) for line in commit.read_bytes().split(b"\n") if line]
    data = [table / unquote(action["add"]["path"]) for action in actions if "add" in action]
    checkpoint = [path for path in (log / "_last_checkpoint",) if path.exists()]
    written = (path for path in log.glob(f"{version:020d}*") if "#" not in path.name)  # another writer's, on its way
    for path in [*data, table, *written, *checkpoint, log]:
        sync(path)
