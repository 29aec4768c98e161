from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import CorpusError, InputError
from tracemill.corpus import tables, wal
from tracemill.corpus.bucket import Bucket
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus

REPOSITORY = Path(__file__).parents[2]  # the scripts that are started import tests.corpus from there


def recorder(corpus: Corpus, job_id: str, seed: int, most: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.corpus.recorder", str(corpus.root), job_id, str(seed), str(most)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)


def trace_ids(corpus: Corpus, job_id: str) -> list[str]:
    return [row["id"] for row in corpus.rows("SELECT id FROM traces WHERE job_id = $job", {"job": job_id})]


def check_whole(corpus: Corpus, job_id: str, printed: set[str]) -> None:
    """Every printed id is there once, with each of its verdicts once."""
    traces = Counter(trace_ids(corpus, job_id))
    verdicts = Counter(row["trace_id"] for row in corpus.rows("SELECT trace_id FROM verdicts", {}))
    assert printed <= traces.keys()
    assert set(traces.values()) <= {1}
    assert {verdicts[trace_id] for trace_id in traces} <= {2}


def segments(corpus: Corpus, job_id: str = "job") -> dict[str, bytes]:
    """Names and contents of what the log holds, less the fences of a bucket's log."""
    if isinstance(corpus.root, Path):
        paths = sorted((corpus.root / "ledger" / job_id).glob("*.jsonl"))
        return {str(path.relative_to(corpus.root)): path.read_bytes() for path in paths}
    bucket = Bucket.at(corpus.root)
    found = {name: bucket.read(name) or b"" for name in bucket.names(f"ledger/{job_id}/log")}
    return {name: data for name, data in found.items() if data.count(b"\n") > 1}


def records_of(corpus: Corpus, data: bytes) -> list[Any]:
    """The records of a segment; an object's first line says whose it is."""
    return wal.decode(data, "")[0 if isinstance(corpus.root, Path) else 1 :]


def samples(build: Any, numbers: range) -> list[tuple[Any, list[Any]]]:
    traces = [build.trace(build.prompt(n)) for n in numbers]
    return [(trace, [build.verdict(trace), build.verdict(trace, verifier="format")]) for trace in traces]


def test_a_kill_at_any_instant_loses_nothing_and_doubles_nothing(corpus: Corpus) -> None:
    chance = random.Random(20260101)
    printed: set[str] = set()
    for attempt in range(8 if isinstance(corpus.root, Path) else 5):
        process = recorder(corpus, "job", attempt, 100_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        printed |= {line.strip() for line in process.communicate()[0].splitlines() if len(line) == 32}
    assert printed
    with Ledger.open(corpus, "job") as ledger:
        check_whole(corpus, "job", printed)
        assert len(ledger.finished) == len(trace_ids(corpus, "job"))
        assert not segments(corpus)


@pytest.mark.parametrize("done", [[], ["verdicts"], ["verdicts", "traces"]])
def test_a_kill_between_the_appends_is_mended(corpus: Corpus, build: Any, done: list[str]) -> None:
    ledger = Ledger.open(corpus, "job")
    ledger.record(samples(build, range(5)))
    ((segment, kept),) = segments(corpus).items()
    records = records_of(corpus, kept)
    number = int(Path(segment).stem)
    verdicts = [row for record in records for row in record["verdicts"]]
    for table in done:
        rows = verdicts if table == "verdicts" else [record["trace"] for record in records]
        corpus.append(table, tables.arrow(table, rows), "job", number)
    ledger.close()
    corpus.place.replace(segment, kept)  # the kill came before the segment was deleted
    with Ledger.open(corpus, "job") as again:
        assert len(again.finished) == 5
        again.record(samples(build, range(3, 8)))
    check_whole(corpus, "job", {trace.id for trace, _ in samples(build, range(8))})


def test_a_sample_counts_once(corpus: Corpus, build: Any) -> None:
    with Ledger.open(corpus, "job") as ledger:
        ledger.record(samples(build, range(3)) * 2)
        ledger.record(samples(build, range(4)))
        ledger.commit()
        ledger.record(samples(build, range(5)))
        ledger.record([])
        assert len(ledger.finished) == 5
    check_whole(corpus, "job", set(trace_ids(corpus, "job")))


def test_it_commits_by_count_and_by_age(corpus: Corpus, build: Any) -> None:
    with Ledger.open(corpus, "job", batch=3) as ledger:
        ledger.record(samples(build, range(2)))
        assert len(segments(corpus)) == 1
        ledger.record(samples(build, range(2, 4)))
        assert not segments(corpus)
    with Ledger.open(corpus, "job", seconds=0) as ledger:
        ledger.record(samples(build, range(4, 5)))
        assert not segments(corpus)
    check_whole(corpus, "job", set(trace_ids(corpus, "job")))
    assert len(ledger.finished) == 5


@pytest.mark.parametrize("tail", [b"0123", b"00000000 {}\n", b"\x00" * 4096])
def test_a_torn_end_is_passed_over(local: Corpus, build: Any, tail: bytes) -> None:
    left_behind(local, build, lambda data: data + tail)
    with Ledger.open(local, "job") as ledger:
        assert len(ledger.finished) == 5
    check_whole(local, "job", set(trace_ids(local, "job")))


def test_damage_before_the_end_is_reported_with_its_line(local: Corpus, build: Any) -> None:
    left_behind(local, build, lambda data: data.replace(b"Doubling", b"Halving!", 1))
    with pytest.raises(CorpusError, match=r"00000001\.jsonl, line 1: damaged"):
        Ledger.open(local, "job")
    with pytest.raises(CorpusError, match=r"line 1: damaged"):  # the lock was given back
        Ledger.open(local, "job")


def left_behind(corpus: Corpus, build: Any, change: Any) -> None:
    """A segment of five samples as a killed run leaves it, changed."""
    assert isinstance(corpus.root, Path)
    folder = corpus.root / "ledger" / "job"
    folder.mkdir(parents=True)
    segment = wal.Segment(folder / "00000001.jsonl")
    for trace, verdicts in samples(build, range(5)):
        rows = [tables.verdict_row(verdict, tables.now()) for verdict in verdicts]
        segment.append([wal.encode({"trace": tables.trace_row(trace), "verdicts": rows})])
    segment.close()
    segment.path.write_bytes(change(segment.path.read_bytes()))


def test_a_job_runs_once_at_a_time(corpus: Corpus) -> None:
    with Ledger.open(corpus, "job"):
        with pytest.raises(CorpusError, match="job job: already running"):
            Ledger.open(corpus, "job")
        Ledger.open(corpus, "other").close()
    Ledger.open(corpus, "job").close()


@pytest.mark.parametrize("job_id", ["", "../up", "a/b", ".hidden"])
def test_a_job_id_is_no_path(corpus: Corpus, job_id: str) -> None:
    with pytest.raises(InputError, match="job:"):
        Ledger.open(corpus, job_id)


def test_two_jobs_write_at_once(corpus: Corpus) -> None:
    running = [recorder(corpus, f"job{n}", n, 60) for n in range(2)]
    for n, process in enumerate(running):
        out, errors = process.communicate()
        assert not errors
        printed = {line for line in out.split() if len(line) == 32}
        assert len(printed) >= 60
        check_whole(corpus, f"job{n}", printed)


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.corpus.conftest import Build
from tracemill.core.errors import CorpusError
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus

def sample(n, size):
    trace = Build.trace(Build.prompt(n), reasoning="x" * size)
    return trace, [Build.verdict(trace), Build.verdict(trace, verifier="format")]

ledger = Ledger.open(Corpus.open(Path(sys.argv[1])), "job")
ledger.record([sample(1, 10)])
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # a write over it fails half-way with EFBIG
try:
    ledger.record([sample(2, 10), sample(3, 5000)])
except CorpusError as error:
    print(error)
ledger.record([sample(4, 10)])
print(len(ledger.finished))
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    ledger.commit()
except CorpusError as error:
    print(error)
"""


def test_a_full_disk_loses_nothing_that_counted(local: Corpus, build: Any) -> None:
    script = [sys.executable, "-c", FULL_DISK, str(local.root)]
    done = subprocess.run(script, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert "File too large" in lines[0]
    assert "run again" in lines[0]
    assert lines[1] == "2"
    assert "nothing durable is lost" in lines[2]
    with Ledger.open(local, "job") as ledger:
        assert {n for n in range(9) if (build.prompt(n).id, 0) in ledger.finished} == {1, 4}
    check_whole(local, "job", set(trace_ids(local, "job")))


def test_any_text_is_the_same_from_the_segment_and_from_the_table(corpus: Corpus, build: Any) -> None:
    text = "".join(map(chr, [*range(0, 200), 0x2028, 0x2029, 0xFFFE, 0xFFFF, 0x1F600, 0xD800, 0x41, 0xDC00]))
    trace = build.trace(build.prompt(), reasoning=text, answer=text[::-1])
    ledger = Ledger.open(corpus, "job")
    ledger.record([(trace, [build.verdict(trace, reason=text)])])
    (record,) = records_of(corpus, *segments(corpus).values())
    ledger.close()
    stored = corpus.trace(trace.id)
    assert (stored.reasoning, stored.answer) == (record["trace"]["reasoning"], record["trace"]["answer"])
    assert stored.reasoning == text[:-3] + "\ufffdA\ufffd"
    assert corpus.verdicts(trace.id)[0].reason == stored.reasoning
