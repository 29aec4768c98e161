"""A corpus on an object store: what is lost there, who runs a job, and what goes wrong in one line."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from tests.conftest import S3

from tracemill.core.errors import CorpusError, InputError, Locked
from tracemill.core.types import Outcome
from tracemill.corpus import bucket, lease, tables
from tracemill.corpus.bucket import Bucket
from tracemill.corpus.ledger import Ledger, is_running
from tracemill.corpus.sql import query
from tracemill.corpus.store import Corpus

Sample = tuple[Any, list[Any]]


def sample(build: Any, number: int) -> Sample:
    trace = build.trace(build.prompt(number))
    return trace, [build.verdict(trace)]


def stored(corpus: Corpus) -> Counter[str]:
    """How often each trace is there, each with one verdict."""
    traces = Counter(row["id"] for row in corpus.rows("SELECT id FROM traces", {}))
    assert Counter(row["trace_id"] for row in corpus.rows("SELECT trace_id FROM verdicts", {})) == traces
    return traces


def of_another_machine(corpus: Corpus) -> None:
    """Make the job's lock look like that of a process on another machine."""
    there = Bucket.at(str(corpus.root))
    lock = json.loads(there.read("ledger/job/lock") or b"")
    there.replace("ledger/job/lock", json.dumps(lock | {"machine": "another"}).encode())


@pytest.mark.parametrize("seed", range(2))
def test_runs_that_know_nothing_of_each_other_lose_and_double_nothing(
    remote: Corpus, build: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """No lease is respected here: as if each run had overslept its own. What `record` returned for counts, once."""
    monkeypatch.setattr(lease, "_is_current", lambda *_: False)
    chance = random.Random(seed)
    runs: list[Ledger] = []
    counted: set[str] = set()
    for _ in range(25):
        does = chance.choice(["open", "record", "record", "record", "commit", "close"])
        if does == "open" or not runs:
            runs.append(Ledger.open(remote, "job", batch=10**6))
            continue
        run = chance.choice(runs)
        try:
            if does == "record":
                batch = [sample(build, chance.randrange(60)) for _ in range(chance.randint(1, 4))]
                run.record(batch)
                counted |= {trace.id for trace, _ in batch}
            else:
                run.commit() if does == "commit" else run.close()
        except Locked:
            does = "close"
        if does == "close":
            runs.remove(run)
    with Ledger.open(remote, "job") as last:
        assert len(last.finished) == len(stored(remote))
    assert counted <= stored(remote).keys()
    assert set(stored(remote).values()) == {1}


def test_a_dead_machines_job_is_taken_over(remote: Corpus, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LASTS", timedelta(seconds=1))
    dead = Ledger.open(remote, "job")
    dead.record([sample(build, 1)])
    of_another_machine(remote)  # its own renewals fail from here on
    assert is_running(remote.root, "job")
    with Ledger.open(remote, "job") as ledger:
        assert len(ledger.finished) == 1
        with pytest.raises(Locked, match="has taken over"):
            dead.record([sample(build, 2)])
        with pytest.raises(Locked, match="has taken over"):
            dead.close()
        ledger.record([sample(build, 2)])
    assert not is_running(remote.root, "job")
    assert len(stored(remote)) == 2


def test_a_live_machines_job_is_not(remote: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_BEAT_S", 0.2)
    with Ledger.open(remote, "job"):
        monkeypatch.setattr(lease, "_lives", lambda lock: None)  # as another machine sees it
        with pytest.raises(Locked, match="already running"):
            Ledger.open(remote, "job")


def test_a_run_that_is_alone_outlives_its_lease(remote: Corpus, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_BEAT_S", 3600.0)
    monkeypatch.setattr(lease, "LASTS", timedelta(seconds=-60))
    with Ledger.open(remote, "job") as ledger:
        assert not is_running(remote.root, "job")
        ledger.record([sample(build, 1)])
    assert len(stored(remote)) == 1


@pytest.mark.parametrize("does", ["lose", "drop", 503])
@pytest.mark.parametrize(
    ("method", "key"),
    [("PUT", "/log/"), ("PUT", "/lock"), ("PUT", "traces/_delta_log"), ("PUT", "verdicts/part"), ("POST", "bucket")],
)
def test_an_answer_that_is_lost_changes_nothing(
    remote: Corpus, build: Any, s3: S3, method: str, key: str, does: str | int
) -> None:
    s3.fault(method, key, does)
    with Ledger.open(remote, "job") as ledger:
        ledger.record([sample(build, 1)])
        s3.fault(method, key, does)
        ledger.record([sample(build, 1), sample(build, 2)])
    assert sorted(stored(remote).values()) == [1, 1]


def test_a_lost_answer_neither_doubles_verdicts_nor_miscounts_prompts(remote: Corpus, build: Any, s3: S3) -> None:
    trace = build.trace(build.prompt(1))
    s3.fault("PUT", "verdicts/_delta_log", "lose")
    remote.add_verdicts("later", [build.verdict(trace, Outcome.WRONG)], tables.now())
    assert len(remote.verdicts(trace.id)) == 1
    s3.fault("PUT", "prompts/_delta_log", "lose")
    assert remote.add_prompts([build.prompt(n) for n in range(3)]) == 3
    assert remote.rows("SELECT count(*) AS n FROM prompts", {}) == [{"n": 3}]


def test_a_store_that_stays_away_loses_nothing_that_counted(
    remote: Corpus, build: Any, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "TRIES", 2)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    ledger = Ledger.open(remote, "job")
    ledger.record([sample(build, 1)])
    s3.fault("PUT", "/log/", "drop", times=100)
    with pytest.raises(CorpusError, match=r"cannot be reached.*nothing durable is lost") as caught:
        ledger.record([sample(build, 2)])
    assert "\n" not in str(caught.value)
    with pytest.raises(CorpusError, match="may or may not have gone through; run again"):
        ledger.record([sample(build, 3)])
    s3.heal()
    ledger.close()
    assert len(stored(remote)) == 1


@pytest.mark.parametrize(
    ("url", "changes", "why"),
    [
        ("s3://no-such-bucket/corpus", {}, "no such bucket; create it"),
        (
            "s3://bucket/refused",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "cannot be reached; check AWS_ENDPOINT_URL",
        ),
        ("s3://b", {}, "is no s3://bucket/prefix"),
        ("s3://bucket/a b", {}, "is no s3://bucket/prefix"),
        ("s3://bucket/../up", {}, "is no s3://bucket/prefix"),
    ],
)
def test_what_is_no_store_is_told_in_one_line(
    s3: S3, monkeypatch: pytest.MonkeyPatch, url: str, changes: dict[str, str], why: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CorpusError, match=why) as caught:
        Corpus.open(url)
    assert "\n" not in str(caught.value)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(("method", "key"), [("GET", "corpus.json"), ("PUT", "corpus.json"), ("PUT", "_delta_log")])
def test_a_key_that_may_not_is_told_in_one_line(s3: S3, method: str, key: str) -> None:
    prefix = uuid4().hex
    s3.fault(method, f"{prefix}/{key}" if key == "corpus.json" else f"{prefix}/prompts/{key}", 403, times=50)
    with pytest.raises(CorpusError, match="access denied; check AWS_ACCESS_KEY_ID") as caught:
        Corpus.open(f"s3://{s3.bucket}/{prefix}")
    s3.heal()
    assert "\n" not in str(caught.value)


def test_a_store_without_conditional_puts_is_refused(remote: Corpus, s3: S3) -> None:
    s3.fault("PUT", "/log/", "yield", times=50)
    with pytest.raises(CorpusError, match="the store ignores If-None-Match"):
        Ledger.open(remote, "job")
    s3.heal()


def test_a_prefix_that_holds_something_else_is_refused(s3: S3) -> None:
    Bucket.at(f"s3://{s3.bucket}/mine").replace("thesis.txt", b"mine")
    with pytest.raises(CorpusError, match="is not a corpus"):
        Corpus.open(f"s3://{s3.bucket}/mine")
    assert Corpus.open(f"s3://{s3.bucket}/mine-too/").root == f"s3://{s3.bucket}/mine-too"


def test_a_query_reads_the_columns_it_needs(remote: Corpus, build: Any, s3: S3) -> None:
    chance = random.Random(1)
    traces = [build.trace(build.prompt(n), reasoning=chance.randbytes(50_000).hex()) for n in range(40)]
    build.store(remote, [(trace, []) for trace in traces])
    s3.counts()
    assert remote.rows("SELECT sum(completion_tokens) AS n FROM traces", {}) == [{"n": 800}]
    assert query(remote.root, "SELECT sum(completion_tokens) FROM traces", seconds=20, memory_mb=1024, rows=1).rows == [
        (800,)
    ]
    assert s3.counts()["sent"] < 500_000
    assert len(remote.trace(traces[0].id).reasoning) == 100_000
    assert s3.counts()["sent"] > 1_000_000


def test_the_guarded_process_has_neither_credentials_nor_a_way_to_the_store(remote: Corpus) -> None:
    def ask() -> None:
        with pytest.raises(InputError, match="longer than 3 s"):
            query(remote.root, "SELECT sleep_ms(60000)", seconds=3, memory_mb=1024, rows=1)

    asking = threading.Thread(target=ask)
    asking.start()
    seen = []
    while asking.is_alive():
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if any("sql_child" in part for part in child.cmdline()):
                    seen += [(child.environ(), child.net_connections("inet"))]
        time.sleep(0.1)
    assert seen
    for environment, connections in seen:
        assert not [name for name in environment if name.startswith("AWS")]
        assert connections == []
    asking.join()


def test_a_corpus_in_a_folder_needs_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert Corpus.open(tmp_path / "corpus").rows("SELECT count(*) AS n FROM traces", {}) == [{"n": 0}]
