"""Makes finished samples durable before they count: one fsync in a write-ahead segment, Delta tables in batches.

One ledger serves one run of one job and holds the job's lock while it is open; it may be used from several threads.
After a kill at any instant the next `Ledger.open` finds every sample that `record` had returned for, once. It says
nothing of progress beyond `finished`.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tracemill.core.errors import CorpusError, InputError, Locked
from tracemill.core.types import Trace, Verdict
from tracemill.corpus import tables, wal
from tracemill.corpus.disk import durable, sync
from tracemill.corpus.finished import Finished
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql


class Ledger:
    """Use as a context manager: `with Ledger.open(corpus, job_id) as ledger`."""

    def __init__(self, corpus: Corpus, job_id: str, folder: Path, lock: int, batch: int, seconds: float) -> None:
        self.finished = Finished()
        """All durable samples of the job."""
        self._corpus = corpus
        self._job_id = job_id
        self._folder = folder
        self._lock = lock
        self._batch = batch
        self._seconds = seconds
        self._segment: wal.Segment | None = None
        self._unsafe = False
        self._turn = threading.RLock()
        self._settle()
        for row in corpus.stream("SELECT prompt_id, sample FROM traces WHERE job_id = $job", {"job": job_id}):
            self.finished.add(row["prompt_id"], row["sample"])
        self._number = max(corpus.last(table, job_id) for table in ("traces", "verdicts"))

    @classmethod
    def open(cls, corpus: Corpus, job_id: str, batch: int = 2000, seconds: float = 30.0) -> Ledger:
        """Take the job's lock and commit what a killed run left. Raises CorpusError if another run holds the lock.

        `batch` samples, or `seconds` since the first of them, make `record` commit.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", job_id):
            raise InputError(f"job: {job_id!r} is no job id; use letters, digits, '.', '_' and '-'")
        folder = corpus.root / "ledger" / job_id
        with durable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked(f"job {job_id}: already running on {corpus.root}; stop the other run first") from None
            return cls(corpus, job_id, folder, lock, batch, seconds)
        except BaseException:
            os.close(lock)
            raise

    def record(self, samples: Sequence[tuple[Trace, Sequence[Verdict]]]) -> None:
        """Make samples durable, all or none; those already finished are passed over. Raises CorpusError."""
        with self._turn:
            fresh = {
                trace.id: (trace, verdicts)
                for trace, verdicts in samples
                if (trace.prompt_id, trace.sample) not in self.finished
            }
            if fresh:
                created_at = tables.now()
                self._append([wal.encode(_line(self._job_id, *pair, created_at)) for pair in fresh.values()])
                for trace, _ in fresh.values():
                    self.finished.add(trace.prompt_id, trace.sample)
            segment = self._segment
            if segment and (segment.count >= self._batch or time.monotonic() - segment.opened > self._seconds):
                self.commit()

    def commit(self) -> None:
        """Move what is durable in segments into the tables. Raises CorpusError; the segments then stay."""
        with self._turn:
            if self._segment:
                self._segment.close()
                self._segment = None
            self._settle()

    def close(self) -> None:
        """Commit and give the lock back."""
        with self._turn:
            try:
                self.commit()
            finally:
                os.close(self._lock)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _append(self, lines: Sequence[bytes]) -> None:
        if self._unsafe:
            raise CorpusError(f"{self._folder}: an earlier write could not be undone; run again")
        with durable(self._folder):
            if self._segment is None:
                self._number += 1
                self._segment = wal.Segment(self._folder / f"{self._number:08d}.jsonl")
            try:
                self._segment.append(lines)
            finally:
                # What may or may not be durable must not be followed by the same samples again.
                self._unsafe = self._segment.torn

    def _settle(self) -> None:
        """Write each closed segment's rows to the tables and delete it, oldest first. Doing it again is a no-op.

        Verdicts go first, so that no reader sees a trace before its verdicts.
        """
        for path in sorted(self._folder.glob("*.jsonl")):
            records = wal.read(path)
            number = int(path.stem)
            verdicts = [row for record in records for row in record["verdicts"]]
            traces = [record["trace"] for record in records]
            for table, rows in (("verdicts", verdicts), ("traces", traces)):
                if records:
                    self._corpus.append(table, tables.arrow(table, rows), self._job_id, number)
            with durable(path):
                path.unlink()
                sync(self._folder)

    def outcomes(self) -> Iterator[Row]:
        """What became of each sample that the tables hold: prompt_id, sample, tokens, outcome (see outcomes.sql)."""
        return self._corpus.stream(named_sql("outcomes"), {"job": self._job_id})


def _line(job_id: str, trace: Trace, verdicts: Sequence[Verdict], created_at: int) -> dict[str, Any]:
    if trace.job_id != job_id:
        raise ValueError(f"trace {trace.id} is of job {trace.job_id}, not {job_id}")
    return {
        "trace": tables.trace_row(trace),
        "verdicts": [tables.verdict_row(verdict, created_at) for verdict in verdicts],
    }


def is_running(root: Path, job_id: str) -> bool:
    """Whether some process holds the job's ledger."""
    lock = root / "ledger" / job_id / "lock"
    if not lock.exists():
        return False
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
