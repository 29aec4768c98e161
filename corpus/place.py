"""Where a corpus lies: a local or shared folder, or a prefix of a bucket on an S3-compatible store (`corpus.bucket`).

Here are what the corpus asks of either, and the folder. Tables are deltalake's affair, on both; what is asked here is
the little that it does not do: small files, the lock and the write-ahead log of a job, and bytes for DuckDB.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from deltalake.exceptions import DeltaError

from tracemill.core.errors import CorpusError, Locked
from tracemill.corpus import disk
from tracemill.corpus.lease import machine
from tracemill.corpus.wal import FolderLog, Log

_ODD = set("%*?[]\\")  # percent escapes, wildcards, and what is taken for a slash


class Place(Protocol):
    """What the corpus asks of a place. Names are relative, with slashes: `ledger/job/lock`."""

    @property
    def root(self) -> Path | str:
        """The folder, or the URL without a slash at its end."""
        ...

    @property
    def options(self) -> dict[str, str] | None:
        """deltalake's `storage_options`."""
        ...

    @property
    def ranges(self) -> Callable[[str, int, int], bytes] | None:
        """(path of a data file, start, length) → those bytes. None where any process can open data files by path."""
        ...

    @property
    def tries(self) -> int:
        """How often a write that failed is worth trying in all."""
        ...

    @property
    def batch(self) -> int:
        """Samples for which a commit to the tables is worth its time."""
        ...

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """The file whole and durable; or, killed, what was there before."""
        ...

    def holds(self, name: str) -> bool:
        """Whether there is anything of that name, or in it; of "", anything at all."""
        ...

    def sync_commit(self, table: str, version: int) -> None:
        """Make a commit of a table durable."""
        ...

    def sync_all(self) -> None:
        """Make whatever was written by others durable."""
        ...

    def writing(self, name: str) -> AbstractContextManager[None]:
        """Turns what goes wrong inside into one line, a CorpusError."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Like `writing`."""
        ...

    def spill(self) -> AbstractContextManager[Path]:
        """A folder for what does not fit into memory."""
        ...

    def log(self, job_id: str, last: Callable[[], int]) -> Log:
        """Take the job's lock and open its log. `last` is the highest number in the tables. Raises Locked."""
        ...

    def is_locked(self, job_id: str) -> bool:
        """Whether some process holds the job's lock."""
        ...


@lru_cache(maxsize=64)
def place_at(root: Path | str) -> Place:
    """The folder at a path, or the bucket and prefix `s3://bucket/prefix`. Raises CorpusError for what is neither."""
    if str(root).startswith("s3:/"):
        from tracemill.corpus.bucket import Bucket  # obstore is an extra

        return Bucket.at(str(root))
    root = Path(root).expanduser().absolute()
    if odd := set(str(root)) & _ODD:
        raise CorpusError(f"{root}: the path has {min(odd)!r} in it, which Delta and DuckDB misread; name another")
    return Folder(root)


@dataclass(frozen=True, slots=True)
class Folder:
    """A local folder, or one that machines share by a file system with locks (NFS 4)."""

    root: Path
    options: dict[str, str] | None = None
    ranges: Callable[[str, int, int], bytes] | None = None
    tries: int = 1
    batch: int = 2000

    def read(self, name: str) -> bytes | None:
        path = self.root / name
        if not self.root.is_dir() and self.root.exists():
            raise CorpusError(f"{self.root}: is a file, not a corpus; name a folder")
        return path.read_bytes() if path.is_file() else None

    def size(self, name: str) -> int | None:
        path = self.root / name
        return path.stat().st_size if path.is_file() else None

    def replace(self, name: str, data: bytes) -> None:
        path = self.root / name
        with self.writing(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, fresh = tempfile.mkstemp(prefix=f"_{path.name}-", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(fresh, 0o644)
            disk.sync(Path(fresh))
            os.replace(fresh, path)
            disk.sync(path.parent)

    def holds(self, name: str) -> bool:
        path = self.root / name
        if path.is_dir():
            return any(not found.name.startswith("_") for found in path.iterdir())  # `_`: one that is being put
        return path.exists()

    def sync_commit(self, table: str, version: int) -> None:
        disk.sync_commit(self.root / table, version)

    def sync_all(self) -> None:
        os.sync()

    def writing(self, name: str) -> AbstractContextManager[None]:
        return disk.durable(self.root / name)

    @contextmanager
    def reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, DeltaError) as error:
            raise CorpusError(f"{self.root}: cannot be read ({disk.first_line(error)}); is it a corpus?") from error

    @contextmanager
    def spill(self) -> Iterator[Path]:
        # One for each machine and container: DuckDB 2.0 names its files by process id, and takes those of an id that it
        # does not see for leftovers. In a folder of two containers both read what the other one wrote, or nothing.
        yield self.root / f"spill-{''.join(filter(str.isalnum, machine()))}"

    def log(self, job_id: str, last: Callable[[], int]) -> Log:
        folder = self.root / "ledger" / job_id
        with self.writing(f"ledger/{job_id}"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked(f"job {job_id}: already running on {self.root}; stop the other run first") from None
            return FolderLog(folder, lock, last())
        except BaseException:
            os.close(lock)
            raise

    def is_locked(self, job_id: str) -> bool:
        lock = self.root / "ledger" / job_id / "lock"
        if not lock.exists():
            return False
        with lock.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
