"""Brings a corpus of an earlier format up to date: its tables get the columns that they lack, empty.

Rows that are there stay as they are; what NULL stands for in them stands in `corpus.views`, which finds the columns
that older files lack in an empty file beside them. A process that still runs an earlier version fails at its next write
and keeps what it has finished in its ledger, which the next run takes up.
"""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from tracemill.core.errors import CorpusError
from tracemill.corpus.place import Place
from tracemill.corpus.tables import SCHEMAS
from tracemill.corpus.views import SCHEMA

MARKER = "corpus.json"
FORMAT = 5
"""2: `label_source` and `label` of verdicts, `label` of datasets; 3: `logprobs` and `interventions` of traces; 4: the
table `anatomy`; 5: the tables `runs`, `training` and `evaluations`."""

_TRIES = 100


def upgrade(place: Place, marker: bytes) -> None:
    """Add what is missing, then say so in the marker. Again, or twice at once, it is a no-op. Raises CorpusError."""
    found = json.loads(marker)["format"] if marker else FORMAT  # a version before wrote it in two steps
    if found > FORMAT:
        raise CorpusError(
            f"{place.root}: was written by a newer tracemill (format {found}, this one knows {FORMAT}); update"
        )
    if found == FORMAT:
        return
    for name in SCHEMAS:
        if place.holds(f"{name}/_delta_log"):
            with place.writing(name):
                _add_columns(place, name)
    place.replace(MARKER, json.dumps({"format": FORMAT}).encode())


def _add_columns(place: Place, name: str) -> None:
    for _ in range(_TRIES):
        table = DeltaTable(f"{place.root}/{name}", storage_options=place.options)
        there = {field.name for field in table.schema().fields}
        missing = [field for field in Schema.from_arrow(SCHEMAS[name]).fields if field.name not in there]
        if not missing:
            return
        empty = io.BytesIO()
        pq.write_table(SCHEMAS[name].empty_table(), empty)
        place.replace(f"{name}/{SCHEMA}", empty.getvalue())
        try:
            table.alter.add_columns(missing)
        except CommitFailedError:  # another process was first, with rows or with the columns: look again
            continue
        place.sync_commit(name, table.version())
        return
    raise CorpusError(f"{place.root}/{name}: too many writers at once; run again")
