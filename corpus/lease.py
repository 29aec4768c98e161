"""Who runs a job on an object store: a lock object that its holder renews, and another takes over when that ends.

Whether it has ended is told by the store's clock alone: it dates the lock object and a fresh one beside it. The lease
keeps two runs from working at once; that no sample is lost or doubled where a run overslept its lease is not its doing,
but that of the log (`corpus.bucket_log`), so no length of pause can do harm.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tracemill.core.errors import CorpusError, Locked

if TYPE_CHECKING:
    from tracemill.corpus.bucket import Bucket, Found

LASTS = timedelta(seconds=30)
"""Without a renewal for so long, another run may take over."""
_BEAT_S = 5.0  # some may fail
_SLACK = timedelta(seconds=2)  # the store dates objects to the second


class Lease:
    """A lease that is held; it renews itself until `release`."""

    def __init__(self, bucket: Bucket, job_id: str, owner: str, etag: str) -> None:
        self._bucket = bucket
        self._job_id = job_id
        self._owner = owner
        self._etag = etag
        self._beats = 0
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{job_id}", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, bucket: Bucket, job_id: str) -> Lease:
        """Take it over where it has ended, which may take LASTS to see. Raises Locked where another run holds it."""
        name, first = _name(job_id), bucket.get(_name(job_id))
        found = first
        while found is not None and _is_current(bucket, job_id, found):
            if found != first or _lives(found):
                raise Locked(f"job {job_id}: already running on {bucket.root}; stop the other run first")
            time.sleep(1.0)  # it is renewed soon, or it ends
            found = bucket.get(name)
        owner = uuid4().hex
        etag = bucket.put_if(name, _text(owner, 0), found.etag if found else None)
        if etag is None:
            raise Locked(f"job {job_id}: another run has just started on {bucket.root}; stop one of them")
        return cls(bucket, job_id, owner, etag)

    def check(self) -> None:
        """Raises Locked where another run has taken over."""
        if self._lost:
            raise Locked(f"job {self._job_id}: another run has taken over on {self._bucket.root}; this one has stopped")

    def lose(self) -> None:
        """Another run is known to have taken over."""
        self._lost = True

    def release(self) -> None:
        """Give it back, so that the next run need not wait for its end."""
        self._stop.set()
        self._thread.join()
        if not self._lost:
            self._beat(is_free=True)

    def _renew(self) -> None:
        while not self._lost and not self._stop.wait(_BEAT_S):
            self._beat(is_free=False)

    def _beat(self, is_free: bool) -> None:
        try:
            with self._bucket.writing(_name(self._job_id)):
                text = _text(self._owner, self._beats + 1, is_free)
                etag = self._bucket.put_if(_name(self._job_id), text, self._etag)
        except CorpusError:
            return  # it may go through next time; if it never does, the log's puts fail too
        self._beats += 1
        if etag is None:
            self._lost = True
        else:
            self._etag = etag


def is_held(bucket: Bucket, job_id: str) -> bool:
    """Whether a run holds the job's lease. Who asks is not made to wait for a store that is away."""
    found = bucket.get(_name(job_id), tries=2)
    return found is not None and _is_current(bucket, job_id, found)


def _is_current(bucket: Bucket, job_id: str, lock: Found) -> bool:
    """Whether it is held and has not ended: its process is not known to be gone, and it was renewed not long ago."""
    if json.loads(lock.data)["is_free"] or _lives(lock) is False:
        return False
    beside = f"{_name(job_id)}-clock-{uuid4().hex}"
    bucket.put(beside, b"")
    clock = bucket.get(beside)
    bucket.delete([beside])
    return clock is None or clock.put_at - lock.put_at <= LASTS + _SLACK


def _lives(lock: Found) -> bool | None:
    """Whether the holder's process is there; None where it is another machine's or container's."""
    holder = json.loads(lock.data)
    if holder["machine"] != machine():
        return None
    return bool(_started(holder["process"]) == holder["started"])


def machine() -> str:
    """This boot of this machine, and the process ids that this process sees."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")


def _started(process: int) -> str | None:
    """When a process was started, in ticks since boot; None where there is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] in "ZX" else stat[19]


def _name(job_id: str) -> str:
    return f"ledger/{job_id}/lock"


def _text(owner: str, beats: int, is_free: bool = False) -> bytes:
    """Never the same twice: an ETag is of the content alone."""
    return json.dumps({
        "owner": owner, "beats": beats, "is_free": is_free, "host": socket.gethostname(), "machine": machine(),
        "process": os.getpid(), "started": _started(os.getpid()),
    }).encode()  # fmt: skip
