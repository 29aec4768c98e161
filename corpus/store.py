"""The corpus: ten append-only Delta tables in one place, that any number of processes may write to at once.

Nothing is changed or deleted. Every write carries an application transaction, an (id, version) pair that Delta records
with the commit: a batch that is written again is a no-op, and of two writers that read before they write, one loses the
race and reads again. Does not know how traces are made; `corpus.ledger` brings them here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from tracemill.core.errors import CorpusError, InputError
from tracemill.core.types import Drop, Item, Prompt, Trace, Verdict
from tracemill.corpus import tables, views
from tracemill.corpus.place import Place, place_at
from tracemill.corpus.tables import SCHEMAS, Row
from tracemill.corpus.upgrade import FORMAT, MARKER, upgrade

if TYPE_CHECKING:
    from arro3.core.types import ArrowStreamExportable
    from duckdb import DuckDBPyConnection

TABLE_OPTIONS = {"delta.checkpointInterval": "10"}
"""deltalake's 100 make every commit read 50 small files on average: 40 ms, where 10 take 18 at the 500th commit."""
PARQUET = WriterProperties(compression="ZSTD", compression_level=3, statistics_truncate_length=64)
"""Untruncated, the least and greatest reasoning stand whole in each file's footer, which every query reads."""
WRITE = "tracemill.write"
"""Which call wrote a commit, in the commit's own words."""
_BATCH = 10_000  # rows that are looked up and added at once
_TRIES = 100  # lost races before giving up; each means that another writer got through


@dataclass(frozen=True, slots=True)
class Corpus:
    """Handle of a corpus; holds no open file, so it may be copied, pickled and shared between threads."""

    root: Path | str
    """An absolute folder, or `s3://bucket/prefix`."""

    @classmethod
    def open(cls, root: Path | str) -> Corpus:
        """Open the corpus at `root`, a folder or `s3://bucket/prefix`; where nothing is, one is made.

        Raises CorpusError, and SetupError where a package is missing.
        """
        place = place_at(root)
        marker = place.read(MARKER)
        if marker is not None:
            upgrade(place, marker)
        elif place.holds(""):
            raise CorpusError(f"{place.root}: is not a corpus (no {MARKER}) and not empty; name a new one")
        else:
            place.replace(MARKER, json.dumps({"format": FORMAT}).encode())
        for name, schema in SCHEMAS.items():
            if not place.holds(f"{name}/_delta_log"):
                with place.writing(name), suppress(CommitFailedError):  # another process was first
                    DeltaTable.create(
                        f"{place.root}/{name}",
                        schema,
                        mode="ignore",
                        configuration=TABLE_OPTIONS,
                        storage_options=place.options,
                    )
        return cls(place.root)

    def check_writable(self) -> None:
        """Write something that changes nothing. Raises CorpusError where that fails."""
        self.place.replace(MARKER, json.dumps({"format": FORMAT}).encode())

    @property
    def place(self) -> Place:
        """Where it lies; one for each process."""
        return place_at(self.root)

    def delta(self, table: str) -> DeltaTable:
        """The current snapshot of a table. Raises CorpusError."""
        with self.place.reading():
            return DeltaTable(f"{self.root}/{table}", storage_options=self.place.options)

    def files(self) -> dict[str, dict[str, int]]:
        """Current Parquet files of every table with their sizes in bytes.

        With them the one that `corpus.upgrade` may have put beside them.
        """
        with ThreadPoolExecutor(len(SCHEMAS), "files") as loading:
            return dict(zip(SCHEMAS, loading.map(self._files, SCHEMAS), strict=True))

    def _files(self, table: str) -> dict[str, int]:
        actions = pa.table(self.delta(table).get_add_actions())
        sizes = zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True)
        found = {f"{self.root}/{table}/{path}": size for path, size in sorted(sizes)}
        schema = self.place.size(f"{table}/{views.SCHEMA}") if found else None
        return found | ({} if schema is None else {f"{self.root}/{table}/{views.SCHEMA}": schema})

    @contextmanager
    def connect(self) -> Iterator[DuckDBPyConnection]:
        """A DuckDB connection for our own SQL, with the views of `corpus.views` over the current files."""
        with views.connect(self.files(), self.place) as connection:
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

    def append(
        self, table: str, rows: ArrowStreamExportable, app_id: str, version: int, after: int | None = None
    ) -> bool:
        """Append rows as version `version` ≥ 1 of `app_id`; False, and nothing written, if that version is there.

        Neither is anything written where the last version is not `after`, if that is given. `rows` gives a stream from
        the start each time it is asked for one. Once it returns, the rows outlive a power cut. Raises CorpusError.
        """
        place, write, failures = self.place, uuid4().hex, 0
        properties = CommitProperties(app_transactions=[Transaction(app_id, version)], custom_metadata={WRITE: write})
        for _ in range(_TRIES):
            delta = self.delta(table)
            last = delta.transaction_version(app_id) or 0
            if last >= version or (after is not None and last != after):
                place.sync_all()  # a run that was killed may have committed it and not come to sync it
                return failures > 0 and any(commit.get(WRITE) == write for commit in delta.history(1000))
            with place.writing(table):
                try:
                    write_deltalake(
                        delta,
                        rows,
                        mode="append",
                        commit_properties=properties,
                        writer_properties=PARQUET,
                    )
                except CommitFailedError:  # another writer was first, or this one, and the answer was lost: look again
                    failures += 1
                    continue
                except (OSError, DeltaError):
                    failures += 1
                    if failures >= place.tries:
                        raise
                    time.sleep(min(5.0, 0.1 * 2**failures))
                    continue
                place.sync_commit(table, delta.version())
                return True
        raise CorpusError(f"{self.root}/{table}: too many writers at once; run again")

    def add_prompts(self, prompts: Iterable[Prompt]) -> int:
        """Add the prompts that are not there yet, by id; returns how many were new. Holds some thousands at once."""
        created_at = tables.now()
        rows = (tables.prompt_row(prompt, created_at) for prompt in prompts)
        return self._insert("prompts", rows, "id", "true", {}, "prompts")

    def add_verdicts(self, app_id: str, verdicts: Sequence[Verdict], created_at: int) -> None:
        """Append verdicts that were made later than those of the ledger; the caller sees to it that they are new."""
        rows = tables.arrow("verdicts", [tables.verdict_row(verdict, created_at) for verdict in verdicts])
        while not self.append("verdicts", rows, app_id, self.last("verdicts", app_id) + 1):
            pass  # another writer had that number

    def set_drops(self, job_id: str, policy: str, drops: Mapping[str, Drop]) -> int:
        """Make these, by trace id, the drops of a job under a filter policy. Returns how many rows that took.

        What stood and is not among them is lifted by a row of its own (see views.sql): of more samples, others may be
        kept. The caller sees to it that nobody else sifts the job.
        """
        where, values = "WHERE job_id = $job AND policy = $policy", {"job": job_id, "policy": policy}
        standing = {row["trace_id"]: tables.drop_of(row) for row in self.stream(f"SELECT * FROM drops {where}", values)}
        ((last,),) = map(dict.values, self.rows(f"SELECT max(epoch_us(created_at)) FROM every_drop {where}", values))
        at = max(tables.now(), (last or 0) + 1)
        lifted = (tables.lifted(one) for name, one in standing.items() if drops.get(name) != one)
        new = (one for name, one in drops.items() if standing.get(name) != one)
        rows = chain(
            (tables.drop_row(one, job_id, policy, at) for one in lifted),
            (tables.drop_row(one, job_id, policy, at + 1) for one in new),
        )
        written = 0
        while batch := list(islice(rows, _BATCH)):
            data, app_id = tables.arrow("drops", batch), f"{job_id}/{policy}"
            while not self.append("drops", data, app_id, self.last("drops", app_id) + 1):
                pass  # a run that was killed had that number
            written += len(batch)
        return written

    def add_anatomy(self, job_id: str, labeller: str, version: str, rows: Iterable[Row]) -> int:
        """Add rows of `tables.anatomy_row` whose trace has none of that labeller and version yet; how many were new."""
        where, values = "labeller = $labeller AND version = $version", {"labeller": labeller, "version": version}
        return self._insert("anatomy", rows, "trace_id", where, values, f"{job_id}/anatomy/{labeller}/{version}")

    def _insert(
        self, table: str, rows: Iterable[Row], key: str, where: str, values: dict[str, Any], app_id: str
    ) -> int:
        """Append the rows whose key no row under `where` has yet, the first of each key; a batch at a time."""
        rest, new = iter(rows), 0
        while batch := list(islice(rest, _BATCH)):
            firsts: dict[str, Row] = {}
            for row in batch:
                firsts.setdefault(row[key], row)
            new += self._insert_batch(
                table, firsts, f"{where} AND {key} IN (SELECT unnest($keys))", key, values, app_id
            )
        return new

    def _insert_batch(
        self, table: str, rows: dict[str, Row], where: str, key: str, values: dict[str, Any], app_id: str
    ) -> int:
        data = tables.arrow(table, list(rows.values()))
        for _ in range(_TRIES):
            version = self.last(table, app_id) + 1  # before the files are listed: a write in between is then noticed
            found = self.stream(f"SELECT {key} FROM {table} WHERE {where}", values | {"keys": list(rows)})
            there = {row[key] for row in found}
            fresh = data.filter(pa.array([name not in there for name in rows], pa.bool_()))
            if fresh.num_rows == 0 or self.append(table, fresh, app_id, version):
                return int(fresh.num_rows)
        raise CorpusError(f"{self.root}/{table}: too many writers at once; run again")

    def accepted(self, job_id: str) -> Iterator[Item]:
        """The job's well-formed traces of which every verifier's latest verdict is CORRECT, by prompt id and sample."""
        return map(tables.item_of, self.accepted_rows(job_id))

    def accepted_rows(self, job_id: str) -> Iterator[Row]:
        """The same as rows, of which `tables.item_of` makes items: in another process, where there are many."""
        return self.stream(views.named_sql("items"), {"job": job_id, "accepted": True})

    def samples(self, job_id: str) -> Iterator[Item]:
        """All traces of the job, by prompt id and sample."""
        return map(tables.item_of, self.stream(views.named_sql("items"), {"job": job_id, "accepted": False}))

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
