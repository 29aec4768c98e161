"""Makes finished samples durable before they count: a write-ahead log at once, Delta tables in batches.

One ledger serves one run of one job and holds the job's lock while it is open; it may be used from several threads.
After a kill at any instant the next `Ledger.open` finds every sample that `record` had returned for, once. It says
nothing of progress beyond `finished`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.types import Trace, Verdict
from tracemill.corpus import tables, wal
from tracemill.corpus.finished import Finished
from tracemill.corpus.place import place_at
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql

TABLES = ("verdicts", "traces")
"""What a sample's rows go to, in this order, so that no reader sees a trace before its verdicts."""


_BYTES = 64 * 2**20  # of the log: what a commit may hold in memory, several times over


class Ledger:
    """Use as a context manager: `with Ledger.open(corpus, job_id) as ledger`."""

    def __init__(self, corpus: Corpus, job_id: str, log: wal.Log, batch: int, seconds: float) -> None:
        self.finished = Finished()
        """All durable samples of the job."""
        self._corpus = corpus
        self._job_id = job_id
        self._log = log
        self._last = {table: corpus.last(table, job_id) for table in TABLES}
        """The number up to which each table has taken the log's records."""
        self._batch = batch
        self._seconds = seconds
        self._turn = threading.RLock()
        self._settle()
        for row in corpus.stream("SELECT prompt_id, sample FROM traces WHERE job_id = $job", {"job": job_id}):
            self.finished.add(row["prompt_id"], row["sample"])

    @classmethod
    def open(cls, corpus: Corpus, job_id: str, batch: int | None = None, seconds: float = 30.0) -> Ledger:
        """Take the job's lock and commit what a killed run left. Raises CorpusError if another run holds the lock.

        `batch` samples (the place's own number where it is None), 64 MiB of them, or `seconds` since the first make
        `record` commit.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", job_id):
            raise InputError(f"job: {job_id!r} is no job id; use letters, digits, '.', '_' and '-'")
        log = corpus.place.log(job_id, lambda: max(corpus.last(table, job_id) for table in TABLES))
        try:
            return cls(corpus, job_id, log, batch or corpus.place.batch, seconds)
        except BaseException:
            log.close()
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
                self._log.append([wal.encode(_line(self._job_id, *pair, created_at)) for pair in fresh.values()])
                for trace, _ in fresh.values():
                    self.finished.add(trace.prompt_id, trace.sample)
            is_old = self._log.count > 0 and time.monotonic() - self._log.opened > self._seconds
            if is_old or self._log.count >= self._batch or self._log.size >= _BYTES:
                self.commit()

    def commit(self) -> None:
        """Move what the log holds into the tables. Raises CorpusError; the log then keeps it."""
        with self._turn:
            self._log.roll()
            self._settle()

    def close(self) -> None:
        """Commit and give the lock back."""
        with self._turn:
            try:
                self.commit()
            finally:
                self._log.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _settle(self) -> None:
        """Append what is closed in the log to the tables and drop it there. Doing it again is a no-op.

        A table takes the records above the last number that it has taken: those that are there, from a run that was
        killed here, are passed over.
        """
        for number, records in self._log.closed():
            for table in TABLES:
                while records and (last := self._last[table]) < number:
                    rows = [row for at, record in records if at > last for row in _rows(table, record)]
                    if self._corpus.append(table, tables.arrow(table, rows), self._job_id, number, after=last):
                        self._last[table] = number
                    else:  # a run that has lost its lock was at it too
                        self._last[table] = self._corpus.last(table, self._job_id)
            self._log.drop(number)

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


def _rows(table: str, record: dict[str, Any]) -> list[Row]:
    rows: list[Row] = record["verdicts"] if table == "verdicts" else [record["trace"]]
    return rows


def is_running(root: Path | str, job_id: str) -> bool:
    """Whether some process holds the job's ledger."""
    return place_at(root).is_locked(job_id)
