"""Brings a corpus of an earlier format up to date: its tables get the columns that they lack, empty.

Rows that are there stay as they are; what NULL stands for in them stands in `corpus.views`, which finds the columns
that older files lack in an empty file beside them. A process that still runs an earlier version fails at its next write
and keeps what it has finished in its ledger, which the next run takes up.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from tracemill.core.errors import CorpusError
from tracemill.corpus.disk import durable, sync, sync_commit
from tracemill.corpus.tables import SCHEMAS
from tracemill.corpus.views import SCHEMA

FORMAT = 3
"""2: `label_source` and `label` of verdicts, `label` of datasets; 3: `logprobs` and `interventions` of traces."""

_TRIES = 100


def upgrade(root: Path, marker: Path) -> None:
    """Add what is missing, then say so in the marker. Again, or twice at once, it is a no-op. Raises CorpusError."""
    text = marker.read_text()
    found = json.loads(text)["format"] if text else FORMAT  # it is empty while another process makes the corpus
    if found > FORMAT:
        raise CorpusError(f"{root}: was written by a newer tracemill (format {found}, this one knows {FORMAT}); update")
    if found == FORMAT:
        return
    with durable(root):
        for name in SCHEMAS:
            if (root / name / "_delta_log").is_dir():
                _add_columns(root / name, name)
        _put(marker, lambda file: file.write(json.dumps({"format": FORMAT}).encode()))


def _put(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """The file whole, or what was there before."""
    handle, fresh = tempfile.mkstemp(prefix=f"_{path.name}-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        write(file)
    os.chmod(fresh, 0o644)
    sync(Path(fresh))
    os.replace(fresh, path)
    sync(path.parent)


def _add_columns(path: Path, name: str) -> None:
    for _ in range(_TRIES):
        table = DeltaTable(path)
        there = {field.name for field in table.schema().fields}
        missing = [field for field in Schema.from_arrow(SCHEMAS[name]).fields if field.name not in there]
        if not missing:
            return
        _put(path / SCHEMA, lambda file: pq.write_table(SCHEMAS[name].empty_table(), file))
        try:
            table.alter.add_columns(missing)
        except CommitFailedError:  # another process was first, with rows or with the columns: look again
            continue
        sync_commit(path, table.version())
        return
    raise CorpusError(f"{path}: too many writers at once; run again")
