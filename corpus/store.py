"""The corpus: a folder of six append-only Delta tables that any number of processes may write to at once.

Nothing is changed or deleted. Every write carries an application transaction, an (id, version) pair that Delta records
with the commit: a batch that is written again is a no-op, and of two writers that read before they write, one loses the
race and reads again. Does not know how traces are made; `corpus.ledger` brings them here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from tracemill.core.errors import CorpusError, InputError
from tracemill.core.types import Drop, Item, Prompt, Trace, Verdict
from tracemill.corpus import tables, views
from tracemill.corpus.disk import durable, first_line, sync_commit
from tracemill.corpus.tables import SCHEMAS, Row
from tracemill.corpus.upgrade import FORMAT, upgrade

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MARKER = "corpus.json"
_ODD = set("%*?[]\\")  # percent escapes, wildcards, and what is taken for a slash
_TRIES = 100  # lost races before giving up; each means that another writer got through


@dataclass(frozen=True, slots=True)
class Corpus:
    """Handle of a corpus; holds no open file, so it may be copied, pickled and shared between threads."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Corpus:
        """Open the corpus at `root`; a missing or empty folder becomes one. Raises CorpusError."""
        root = root.expanduser().absolute()
        if odd := set(str(root)) & _ODD:
            raise CorpusError(f"{root}: the path has {min(odd)!r} in it, which Delta and DuckDB misread; name another")
        marker = root / MARKER
        if not marker.is_file():
            if root.exists() and not root.is_dir():
                raise CorpusError(f"{root}: is a file, not a corpus; name a folder")
            if root.is_dir() and any(root.iterdir()):
                raise CorpusError(f"{root}: is not a corpus (no {MARKER}) and not empty; name a new folder")
            with durable(root):
                root.mkdir(parents=True, exist_ok=True)
                marker.write_text(json.dumps({"format": FORMAT}))
        else:
            upgrade(root, marker)
        for name, schema in SCHEMAS.items():
            if not (root / name / "_delta_log").is_dir():
                with durable(root):
                    DeltaTable.create(root / name, schema, mode="ignore")
        return cls(root)

    def delta(self, table: str) -> DeltaTable:
        """The current snapshot of a table. Raises CorpusError."""
        try:
            return DeltaTable(self.root / table)
        except (OSError, DeltaError) as error:
            raise CorpusError(f"{self.root / table}: cannot be read ({first_line(error)}); is it a corpus?") from error

    def files(self) -> dict[str, list[str]]:
        """Current Parquet files of every table, with the one that `corpus.upgrade` may have put beside them."""
        found = {name: sorted(map(unquote, self.delta(name).file_uris())) for name in SCHEMAS}
        for name, files in found.items():
            schema = self.root / name / views.SCHEMA
            files += [str(schema)] if files and schema.is_file() else []
        return found

    @contextmanager
    def connect(self) -> Iterator[DuckDBPyConnection]:
        """A DuckDB connection for our own SQL, with the views of `corpus.views` over the current files."""
        with views.connect(self.files(), self.root / "spill") as connection:
            yield connection

    def stream(self, sql: str, values: dict[str, Any]) -> Iterator[Row]:
        """Rows of one of our own queries over the views, read 1,000 at a time."""
        with self.connect() as connection:
            reader: pa.RecordBatchReader = connection.sql(sql, params=values).to_arrow_reader(1000)
            for batch in reader:
                yield from batch.to_pylist()

    def rows(self, sql: str, values: dict[str, Any]) -> list[Row]:
        return list(self.stream(sql, values))

    def last(self, table: str, app_id: str) -> int:
        """The last version written by `app_id` to a table; 0 where there is none."""
        return self.delta(table).transaction_version(app_id) or 0

    def append(self, table: str, rows: pa.Table, app_id: str, version: int) -> bool:
        """Append rows as version `version` ≥ 1 of `app_id`; False, and nothing written, if that version is there.

        Once it returns, the rows outlive a power cut. Raises CorpusError.
        """
        properties = CommitProperties(app_transactions=[Transaction(app_id, version)])
        for _ in range(_TRIES):
            delta = self.delta(table)
            if (delta.transaction_version(app_id) or 0) >= version:
                os.sync()  # a run that was killed may have committed it and not come to sync it
                return False
            with durable(self.root / table):
                try:
                    write_deltalake(
                        delta,
                        rows,
                        mode="append",
                        commit_properties=properties,
                        writer_properties=WriterProperties(compression="ZSTD", compression_level=3),
                    )
                except CommitFailedError:  # another writer was first: look again
                    continue
                sync_commit(self.root / table, delta.version())
                return True
        raise CorpusError(f"{self.root / table}: too many writers at once; run again")

    def add_prompts(self, prompts: Iterable[Prompt]) -> int:
        """Add the prompts that are not there yet, by id; returns how many were new."""
        created_at = tables.now()
        rows = {prompt.id: tables.prompt_row(prompt, created_at) for prompt in prompts}
        return self._insert("prompts", list(rows.values()), "id", "true", {}, "prompts")

    def add_verdicts(self, app_id: str, verdicts: Sequence[Verdict], created_at: int) -> None:
        """Append verdicts that were made later than those of the ledger; the caller sees to it that they are new."""
        rows = tables.arrow("verdicts", [tables.verdict_row(verdict, created_at) for verdict in verdicts])
        while not self.append("verdicts", rows, app_id, self.last("verdicts", app_id) + 1):
            pass  # another writer had that number

    def add_drops(self, job_id: str, policy: str, drops: Iterable[Drop]) -> int:
        """Add the drops of a job under a filter policy; the first drop of a trace stands. Returns how many were new."""
        created_at = tables.now()
        rows: dict[str, Row] = {}
        for drop in drops:
            rows.setdefault(drop.trace_id, tables.drop_row(drop, job_id, policy, created_at))
        where = {"job": job_id, "policy": policy}
        sql = "job_id = $job AND policy = $policy"
        return self._insert("drops", list(rows.values()), "trace_id", sql, where, f"{job_id}/{policy}")

    def _insert(
        self, table: str, rows: Sequence[Row], key: str, where: str, values: dict[str, Any], app_id: str
    ) -> int:
        """Append the rows whose key no row under `where` has yet."""
        if not rows:
            return 0
        data = tables.arrow(table, rows)
        for _ in range(_TRIES):
            version = self.last(table, app_id) + 1  # before the files are listed: a write in between is then noticed
            there = {row[key] for row in self.rows(f"SELECT {key} FROM {table} WHERE {where}", values)}
            fresh = data.filter(pa.array([row[key] not in there for row in rows], pa.bool_()))
            if fresh.num_rows == 0 or self.append(table, fresh, app_id, version):
                return int(fresh.num_rows)
        raise CorpusError(f"{self.root / table}: too many writers at once; run again")

    def accepted(self, job_id: str) -> Iterator[Item]:
        """The job's well-formed traces of which every verifier's latest verdict is CORRECT, by prompt id and sample."""
        return self._items(job_id, accepted=True)

    def samples(self, job_id: str) -> Iterator[Item]:
        """All traces of the job, by prompt id and sample."""
        return self._items(job_id, accepted=False)

    def _items(self, job_id: str, accepted: bool) -> Iterator[Item]:
        values = {"job": job_id, "accepted": accepted}
        return map(tables.item_of, self.stream(views.named_sql("items"), values))

    def items(self, trace_ids: Sequence[str]) -> Iterator[Item]:
        """These traces with their prompts, in no order."""
        return map(tables.item_of, self.stream(views.named_sql("chosen"), {"ids": list(trace_ids)}))

    def prompt(self, prompt_id: str) -> Prompt:
        """Raises InputError where there is none."""
        return tables.prompt_of(self._one("prompts", "prompt", prompt_id))

    def trace(self, trace_id: str) -> Trace:
        """Raises InputError where there is none."""
        return tables.trace_of(self._one("traces", "trace", trace_id))

    def verdicts(self, trace_id: str) -> list[Verdict]:
        """All verdicts of a trace, oldest first."""
        sql = "SELECT * FROM verdicts WHERE trace_id = $id ORDER BY created_at, verifier, version"
        return [tables.verdict_of(row) for row in self.rows(sql, {"id": trace_id})]

    def _one(self, table: str, noun: str, key: str) -> Row:
        rows = self.rows(f"SELECT * FROM {table} WHERE id = $id", {"id": key})
        if not rows:
            raise InputError(f"{noun} {key!r}: not in the corpus at {self.root}; check the id")
        return rows[0]
