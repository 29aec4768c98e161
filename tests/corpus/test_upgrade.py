"""Corpora that an earlier version wrote open, keep their rows, and take new ones; several openers at once do no harm."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tracemill.core.anatomy import Habits
from tracemill.core.errors import CorpusError
from tracemill.core.types import Outcome
from tracemill.corpus import tables
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.place import place_at
from tracemill.corpus.selection import Selection, find, select
from tracemill.corpus.sql import query
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import SCHEMAS
from tracemill.corpus.upgrade import FORMAT, MARKER

NEW = {"verdicts": ("label_source", "label"), "datasets": ("label",)}


def write_format_1(root: Path | str, build: Any, samples: int = 4) -> None:
    """What version 0.1.0 left: five tables without the new columns, and a segment that it had not yet committed."""
    place = place_at(root)
    place.replace(MARKER, b'{"format": 1}')
    prompt = build.prompt(1)
    traces = [build.trace(prompt, sample) for sample in range(samples)]
    rows = {
        "prompts": [tables.prompt_row(prompt, 1)],
        "traces": [tables.trace_row(trace) for trace in traces],
        "verdicts": [tables.verdict_row(build.verdict(trace), 1) for trace in traces],
        "drops": [],
        "datasets": [
            {"name": "old", "version": 1, "trace_id": traces[0].id, "position": 0, "label_source": "gold", "job_id": "job",
             "selection": '{"order":"shortest","pass_rate":[0,1],"per_prompt":null,"policy":"p","seed":0}', "created_at": 1}
        ],
    }  # fmt: skip
    for name, values in rows.items():
        fields = [field for field in SCHEMAS[name] if field.name not in NEW.get(name, ())]
        schema = pa.schema(fields)
        uri = f"{root}/{name}"
        DeltaTable.create(uri, schema, storage_options=place.options)
        if values:
            rows_of = pa.Table.from_pylist(values, schema=schema)
            write_deltalake(uri, rows_of, mode="append", storage_options=place.options)


def test_it_reads_as_it_was_and_takes_new_rows(root: Path | str, build: Any) -> None:
    write_format_1(root, build)
    corpus = Corpus.open(root)
    assert json.loads(place_at(root).read(MARKER) or b"") == {"format": FORMAT}
    sql = "SELECT DISTINCT label_source, label FROM verdicts"
    assert corpus.rows(sql, {}) == [{"label_source": "gold", "label": None}]
    assert query(corpus.root, sql, seconds=30, memory_mb=1024, rows=10).rows == [("gold", None)]
    assert find(corpus, "old").rows == 1
    trace = build.trace(build.prompt(1), 9)
    build.store(corpus, [(trace, [build.verdict(trace, label_source="majority", label="2")])])
    counted = "SELECT label_source, count(*) AS n FROM verdicts GROUP BY ALL ORDER BY ALL"
    assert corpus.rows(counted, {}) == [{"label_source": "gold", "n": 4}, {"label_source": "majority", "n": 1}]
    select(corpus, "job", "p", "new", Selection())
    labels = "SELECT label_source, label FROM datasets WHERE name = 'new' ORDER BY ALL"
    assert [(row["label_source"], row["label"]) for row in corpus.rows(labels, {})] == [("gold", None)] * 4 + [
        ("majority", "2")
    ]
    again = Corpus.open(root)
    assert again.delta("verdicts").version() == corpus.delta("verdicts").version(), "nothing more to add"


def test_it_gets_the_tables_that_it_lacks(root: Path | str, build: Any) -> None:
    write_format_1(root, build)
    assert not place_at(root).holds("anatomy/_delta_log")
    corpus = Corpus.open(root)
    assert corpus.rows("SELECT * FROM latest_anatomy", {}) == []
    found = Habits(3, 2, 1, 0)
    row = tables.anatomy_row("trace", "job", "markers", "1", found, tables.now())
    assert corpus.add_anatomy("job", "markers", "1", [row, row]) == 1
    assert corpus.add_anatomy("job", "markers", "1", [row]) == 0
    sql = "SELECT verification, backtracking, subgoals, backward_chaining, words FROM latest_anatomy"
    assert query(corpus.root, sql, seconds=30, memory_mb=1024, rows=10).rows == [(3, 2, 1, 0, None)]


def test_a_segment_of_the_earlier_version_is_taken_up(tmp_path: Path, build: Any) -> None:
    write_format_1(tmp_path / "corpus", build)
    corpus = Corpus.open(tmp_path / "corpus")
    trace = build.trace(build.prompt(1), 7)
    ledger = Ledger.open(corpus, "job")
    ledger.record([(trace, [build.verdict(trace)])])
    (segment,) = (tmp_path / "corpus" / "ledger" / "job").glob("*.jsonl")
    record = json.loads(segment.read_bytes()[9:])
    for verdict in record["verdicts"]:
        del verdict["label_source"], verdict["label"]
    from tracemill.corpus import wal

    segment.write_bytes(wal.encode(record))
    ledger.close()
    assert corpus.verdicts(trace.id) == [build.verdict(trace)]


def test_many_open_it_at_once_while_another_writes(root: Path | str, build: Any) -> None:
    write_format_1(root, build)
    start, failures = threading.Barrier(8), []

    def work(number: int) -> None:
        try:
            start.wait()
            corpus = Corpus.open(root)
            trace = build.trace(build.prompt(1), 0, job_id=f"job-{number}")
            corpus.add_verdicts(f"job-{number}", [build.verdict(trace, Outcome.WRONG)], tables.now())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    corpus = Corpus.open(root)
    names = [field.name for field in corpus.delta("verdicts").schema().fields]
    assert names == SCHEMAS["verdicts"].names
    assert corpus.rows("SELECT count(*) AS n FROM verdicts", {}) == [{"n": 12}]


def test_a_corpus_of_a_later_version_is_refused(root: Path | str) -> None:
    Corpus.open(root)
    place_at(root).replace(MARKER, b'{"format": 99}')
    with pytest.raises(CorpusError, match=rf"was written by a newer tracemill \(format 99, this one knows {FORMAT}\)"):
        Corpus.open(root)
