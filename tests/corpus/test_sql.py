from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from tracemill.core.errors import CorpusError, InputError
from tracemill.core.types import Outcome
from tracemill.corpus.bucket import Bucket
from tracemill.corpus.sql import QueryResult, query
from tracemill.corpus.sql_child import Ranged, single_select
from tracemill.corpus.store import Corpus


def ask(corpus: Corpus, sql: str, seconds: float = 20, memory_mb: int = 1024, rows: int = 100) -> QueryResult:
    return query(corpus.root, sql, seconds=seconds, memory_mb=memory_mb, rows=rows)


@pytest.fixture(scope="module", params=["folder", "bucket"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, build: Any) -> Corpus:
    if request.param == "folder":
        corpus = Corpus.open(tmp_path_factory.mktemp("filled") / "corpus")
    else:
        corpus = Corpus.open(f"s3://{request.getfixturevalue('s3').bucket}/filled-{uuid4().hex}")
    prompt = build.prompt(1)
    corpus.add_prompts([prompt])
    first, second = (build.trace(prompt, k) for k in range(2))
    malformed = build.trace(prompt, 2, faults=("no_box", "cut_off"))
    build.store(
        corpus,
        [
            (first, [build.verdict(first), build.verdict(first, verifier="format")]),
            (second, [build.verdict(second, Outcome.WRONG)]),
            (malformed, [build.verdict(malformed)]),
        ],
    )
    return corpus


def snapshot(corpus: Corpus) -> dict[str, bytes | None]:
    if isinstance(corpus.root, Path):
        return {str(path): path.read_bytes() for path in corpus.root.rglob("*") if path.is_file()}
    bucket = Bucket.at(corpus.root)
    return {name: bucket.read(name) for name in bucket.names("")}


def test_metrics_hold_one_row_for_each_trace(filled: Corpus) -> None:
    result = ask(filled, "SELECT sample, well_formed, fault, outcome, reason, correct FROM metrics ORDER BY sample")
    assert result.rows == [
        (0, True, None, "correct", "equal", True),
        (1, True, None, "wrong", "different: 1 is not 2", False),
        (2, False, "no_box", "correct", "equal", False),
    ]
    assert result.types[:2] == ("BIGINT", "BOOLEAN")
    assert not result.truncated
    every = ask(filled, "FROM metrics")
    assert set(every.columns) == {
        "trace_id", "job_id", "prompt_id", "domain", "source", "verifier", "model", "sample", "well_formed", "fault",
        "outcome", "reason", "label_source", "label", "correct", "reasoning_chars", "answer_chars", "prompt_tokens", "completion_tokens",
        "finish_reason", "created_at",
    }  # fmt: skip


def test_values_are_plain(filled: Corpus) -> None:
    result = ask(
        filled,
        "SELECT faults, created_at, 1.5, 2::HUGEINT << 70, NULL, {'a': [DATE '2026-01-02']}, MAP {1: 'x'}, "
        "'\x7f'::BLOB, INTERVAL 1 DAY, json_extract_string((SELECT metadata FROM prompts), '$.number') "
        "FROM traces WHERE sample = 2",
    )
    assert result.rows == [
        (["no_box", "cut_off"], "2026-01-02T03:04:05.678901", 1.5, 2 << 70, None, {"a": ["2026-01-02"]}, {"1": "x"},
         "fw==", "1 day, 0:00:00", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    ["FROM traces", "VALUES (1)", "WITH a AS (SELECT 1 AS n) SELECT n FROM a", "DESCRIBE metrics", "SHOW TABLES",
     "SUMMARIZE metrics", "SELECT 1;", "-- a comment\nSELECT 1 /* ; */"],
)  # fmt: skip
def test_the_gate_is_open_to_every_way_to_read(sql: str) -> None:
    with duckdb.connect() as connection:
        assert single_select(connection, sql)


def test_a_fresh_corpus_has_every_view(corpus: Corpus) -> None:
    names = [row[0] for row in ask(corpus, "SHOW TABLES").rows]
    assert names == [
        "anatomy",
        "audits",
        "datasets",
        "drops",
        "evaluations",
        "every_drop",
        "latest_anatomy",
        "latest_evaluations",
        "latest_training",
        "latest_verdicts",
        "metrics",
        "prompts",
        "runs",
        "traces",
        "training",
        "verdicts",
    ]
    assert ask(corpus, "SELECT count(*) FROM metrics").rows == [(0,)]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT * FROM read_text('/etc/passwd')", "disabled"),
        ("SELECT * FROM '/etc/passwd'", "passwd"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT * FROM read_blob('corpus://../../etc/passwd')", "disabled"),
        ("SELECT * FROM read_parquet('{file}')", "disabled"),
        ("SELECT * FROM glob('/etc/*')", "disabled"),
        ("SELECT * FROM glob('corpus://*')", "disabled"),
        ("SELECT * FROM sniff_csv('/etc/passwd')", "disabled"),
        ("SELECT getenv('HOME')", "getenv"),
        ("SELECT * FROM query('COPY (SELECT 1) TO ''/tmp/x''')", "single SELECT"),
        ("COPY traces TO 'corpus://traces/0.parquet'", "only SELECT"),
        ("WITH a AS (COPY (SELECT 2) TO 'corpus://traces/0.parquet' (USE_TMP_FILE false)) FROM a", "read-only"),
        ("WITH a AS (COPY (SELECT 2) TO 'corpus://traces/0.parquet') FROM a", "disabled"),
        ("WITH a AS (COPY (SELECT 2) TO '{file}' (USE_TMP_FILE false)) FROM a", "disabled"),
        ("WITH a AS (COPY (SELECT 2) TO '/tmp/tracemill-attack') FROM a", "disabled"),
        ("SELECT 1; DROP VIEW traces", "one statement, not 2"),
        ("SELECT * FROM enable_logging('QueryLog', storage = 'file')", "locked"),
        ("SELECT * FROM enable_profiling()", "locked"),
        ("SELEC 1", "syntax error"),
        ("SELECT promt FROM traces", "promt"),
    ],
)
def test_what_is_not_reading_the_corpus_is_refused_in_one_line(filled: Corpus, sql: str, why: str) -> None:
    before = snapshot(filled)
    with pytest.raises(InputError, match=why) as caught:
        ask(filled, sql.format(file=next(iter(filled.files()["traces"]))))
    assert str(caught.value).startswith("sql: ")
    assert "\n" not in str(caught.value)
    assert snapshot(filled) == before
    assert not Path("/tmp/tracemill-attack").exists()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("COPY (SELECT 1) TO '/tmp/tracemill-attack'", "only SELECT"),
        ("ATTACH '/tmp/x.db'", "only SELECT"),
        ("INSTALL httpfs", "only SELECT"),
        ("LOAD httpfs", "only SELECT"),
        ("SET enable_external_access = true", "only SELECT"),
        ("RESET allowed_paths", "only SELECT"),
        ("PRAGMA enable_external_access = true", "only SELECT"),
        ("CALL pragma_version()", "only SELECT"),
        ("DROP VIEW traces", "only SELECT"),
        ("CREATE TABLE a (b INT)", "only SELECT"),
        ("INSERT INTO traces SELECT * FROM traces", "only SELECT"),
        ("DELETE FROM traces", "only SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "only SELECT"),
        ("COMMIT", "only SELECT"),
        ("SELECT 1; SELECT 2", "one statement, not 2"),
        ("", "one statement, not 0"),
    ],
)
def test_the_gate_lets_one_select_through(sql: str, why: str) -> None:
    with duckdb.connect() as connection, pytest.raises(ValueError, match=why):
        single_select(connection, sql)


def test_nothing_tells_where_the_corpus_lies(filled: Corpus) -> None:
    sources = ["duckdb_settings()", "duckdb_views()", "duckdb_databases()",
               "parquet_metadata('corpus://traces/0.parquet')", "(SELECT current_setting('allowed_paths'))"]  # fmt: skip
    result = ask(filled, " UNION ALL ".join(f"SELECT s::VARCHAR FROM {source} s" for source in sources), rows=1000)
    assert "corpus://traces/0.parquet" in str(result.rows)
    assert str(filled.root) not in str(result.rows)
    assert str(Path.home()) + "/" not in str(result.rows)


@pytest.mark.parametrize(
    "sql",
    ["SELECT repeat('x', 3000000000)", "SELECT list(i) FROM range(2000000000) t(i)",
     "SELECT * FROM range(3000000) a ORDER BY repeat('x', 1000) || a.range"],
)  # fmt: skip
def test_a_query_cannot_have_the_machines_memory(local: Corpus, sql: str) -> None:
    with pytest.raises(InputError, match=r"sql: (needs more than 300 MB|took longer)"):
        ask(local, sql, memory_mb=300, seconds=5)


@pytest.mark.parametrize(
    "sql", ["SELECT count(*) FROM range(2000000000) a, range(2000000000) b", "SELECT sleep_ms(60000)"]
)
def test_a_query_ends_at_its_deadline(local: Corpus, sql: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=r"sql: (took longer than 1 s|needs more than)"):
        ask(local, sql, seconds=1)
    assert time.monotonic() - start < 5


def test_rows_and_bytes_are_capped(local: Corpus) -> None:
    result = ask(local, "FROM range(1000)", rows=10)
    assert (result.rows, result.truncated) == ([(n,) for n in range(10)], True)
    assert not ask(local, "FROM range(10)", rows=10).truncated
    wide = ask(local, "SELECT repeat('x', 1000000) FROM range(100)", rows=1000)
    assert wide.truncated
    assert 20 < len(wide.rows) < 40


def test_threads_that_share_a_file_read_where_each_of_them_seeks() -> None:
    data = bytes(range(256)) * 16
    shared = Ranged(lambda start, length: data[start : start + length], len(data))
    turn = threading.Barrier(2)
    found: dict[int, bytes] = {}

    def work(at: int) -> None:
        shared.seek(at)
        turn.wait()  # both have sought before either reads
        found[at] = shared.read(10)

    threads = [threading.Thread(target=work, args=(at,)) for at in (100, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {at: data[at : at + 10] for at in (100, 3000)}
    assert shared.seek(-6, 2) == len(data) - 6
    assert shared.read() == data[-6:]
    assert shared.read(5) == b""


def test_a_broken_corpus_is_not_the_querys_fault(corpus: Corpus, build: Any) -> None:
    corpus.add_prompts([build.prompt()])
    path = next(iter(corpus.files()["prompts"]))
    if isinstance(corpus.root, Path):
        Path(path).unlink()
    else:
        Bucket.at(corpus.root).delete([path.removeprefix(f"{corpus.root}/")])
    with pytest.raises(CorpusError, match=r"check the corpus|cannot be read") as caught:
        ask(corpus, "FROM prompts")
    assert "\n" not in str(caught.value)
    with pytest.raises(CorpusError, match="cannot be read"):
        corpus.prompt("x")
