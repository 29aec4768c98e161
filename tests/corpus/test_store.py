from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import CorpusError, InputError
from tracemill.core.types import Drop, Item, Outcome, Prompt, Rate, Sampling, Trace
from tracemill.corpus import store, tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import SCHEMAS, arrow

REPOSITORY = Path(__file__).parents[2]  # the script that is started imports tests.corpus from there

text = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["\x00", "a\nb", "\u2028", "\ud800", "😀"])


def there_and_back(name: str, row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = arrow(name, [row]).to_pylist()[0]
    return found


@given(
    text, text, st.lists(text, max_size=3), st.none() | st.integers(0, 2**63 - 1), st.datetimes(timezones=st.just(UTC))
)
def test_traces_survive_the_way_through_rows(
    reasoning: str, answer: str, faults: list[str], seed: int | None, at: datetime
) -> None:
    trace = Trace(
        "id", "prompt", "job", 3, "model", "r1", reasoning, answer, tuple(faults), Sampling(0.7, 0.9, 5, 99, seed),
        1, 2, "stop", at, None,
    )  # fmt: skip
    expected = replace(
        trace,
        reasoning=tables.clean(reasoning),
        answer=tables.clean(answer),
        faults=tuple(map(tables.clean, faults)),
    )
    assert tables.trace_of(there_and_back("traces", tables.trace_row(trace))) == expected


@given(text)
def test_clean_changes_surrogates_only(value: str) -> None:
    cleaned = tables.clean(value)
    cleaned.encode()
    if not any("\ud800" <= char <= "\udfff" for char in value):
        assert cleaned == value


def test_clean_joins_pairs_and_replaces_what_is_alone() -> None:
    assert tables.clean("\ud83d\ude00") == "😀"
    assert tables.clean("a\ud800b") == "a\ufffdb"


def test_prompts_and_verdicts_come_back(corpus: Corpus, build: Any) -> None:
    prompt = build.prompt(1, text="naïve\x00\n\u2028", metadata={"tests": [1, {"é": None}], "x": 0.1})
    assert corpus.add_prompts([prompt]) == 1
    assert corpus.prompt(prompt.id) == prompt
    trace = build.trace(prompt, parent_id="parent", reasoning="x\x00y\n\u2028\r\n")
    verdicts = [build.verdict(trace, Outcome.UNDECIDED, extracted=None), build.verdict(trace, verifier="zzz")]
    build.store(corpus, [(trace, verdicts)])
    assert corpus.trace(trace.id) == trace
    assert corpus.verdicts(trace.id) == verdicts
    assert list(corpus.samples("job")) == [Item(prompt, trace, Rate(0, 0))]
    with pytest.raises(InputError, match="'nix'"):
        corpus.trace("nix")


def test_prompts_are_unique_by_id(corpus: Corpus, build: Any) -> None:
    assert corpus.add_prompts([build.prompt(n) for n in (1, 2, 2)]) == 2
    assert corpus.add_prompts([build.prompt(n) for n in (2, 3)]) == 1
    assert corpus.add_prompts([]) == 0
    assert corpus.rows("SELECT count(*) AS n FROM prompts", {}) == [{"n": 3}]


def test_prompts_are_added_in_batches(corpus: Corpus, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BATCH", 3)
    taken: list[int] = []

    def prompts() -> Iterator[Prompt]:
        for number in (0, 1, 2, 2, 1, 3, 4, 0):
            taken.append(number)
            if len(taken) == 4:
                assert corpus.rows("SELECT count(*) AS n FROM prompts", {}) == [{"n": 3}], "the first three are stored"
            yield build.prompt(number)

    assert corpus.add_prompts(prompts()) == 5
    assert corpus.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM prompts", {}) == [{"n": 5, "ids": 5}]


def test_footers_do_not_hold_whole_texts(local: Corpus, build: Any) -> None:
    build.store(local, [(build.trace(build.prompt(), reasoning="x" * 100_000), [])])
    (path,) = local.files()["traces"]
    assert pq.read_metadata(path).serialized_size < 20_000


def test_metadata_must_be_json(corpus: Corpus, build: Any) -> None:
    with pytest.raises(InputError, match=r"metadata: .*JSON"):
        corpus.add_prompts([build.prompt(metadata={"x": object()})])


def test_two_processes_add_overlapping_prompts(corpus: Corpus) -> None:
    ranges = [(0, 20), (10, 30), (0, 30)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.corpus.adder", str(corpus.root), str(first), str(last)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for first, last in ranges
    ]
    new = [int(process.communicate()[0]) for process in running]
    assert sum(new) == 30
    assert corpus.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM prompts", {}) == [{"n": 30, "ids": 30}]


def test_an_append_that_is_repeated_is_a_no_op(corpus: Corpus, build: Any) -> None:
    rows = arrow("prompts", [tables.prompt_row(build.prompt(), tables.now())])
    assert corpus.append("prompts", rows, "me", 1)
    assert not corpus.append("prompts", rows, "me", 1)
    assert corpus.append("prompts", rows, "me", 2)
    assert corpus.append("prompts", rows, "you", 1)
    assert corpus.last("prompts", "me") == 2
    assert corpus.rows("SELECT count(*) AS n FROM prompts", {}) == [{"n": 3}]


def test_the_drops_of_a_policy_are_those_that_were_set_last(corpus: Corpus, build: Any) -> None:
    first, second, third = (build.trace(build.prompt(), sample) for sample in (0, 1, 2))

    def put(policy: str, *drops: Drop) -> int:
        return corpus.set_drops("job", policy, {drop.trace_id: drop for drop in drops})

    def standing() -> set[tuple[str, str, str]]:
        rows = corpus.rows("SELECT policy, trace_id, reason FROM drops WHERE job_id = 'job'", {})
        return {(row["policy"], row["trace_id"], row["reason"]) for row in rows}

    short, copy, other = (build.drop(trace) for trace in (first, second, third))
    assert put("strict", short, copy) == 2
    assert put("strict", short, copy) == 0
    assert put("loose", short) == 1
    assert put("none") == 0
    both = {("strict", first.id, short.reason), ("loose", first.id, short.reason)}
    assert standing() == both | {("strict", second.id, copy.reason)}
    assert put("strict", short, other) == 2, "one is lifted, one is new"
    assert standing() == both | {("strict", third.id, other.reason)}
    assert put("strict", short, replace(copy, reason="again")) == 2
    assert standing() == both | {("strict", second.id, "again")}
    assert put("strict", replace(short, reason="longer")) == 3, "lifted and new; lifted"
    assert standing() == {("strict", first.id, "longer"), ("loose", first.id, short.reason)}
    assert put("strict") == 1
    assert standing() == {("loose", first.id, short.reason)}


def test_accepted_takes_the_latest_verdict_of_every_verifier(corpus: Corpus, build: Any) -> None:
    prompts = [build.prompt(n) for n in range(2)]
    corpus.add_prompts(prompts)
    good, late, vetoed, malformed, unjudged, wrong = (build.trace(prompts[0], k, answer=str(k)) for k in range(6))
    malformed = replace(malformed, faults=("no_box",))
    other = build.trace(prompts[1])
    no, yes = Outcome.WRONG, Outcome.CORRECT
    build.store(corpus, [
        (other, [build.verdict(other)]),
        (wrong, [build.verdict(wrong)]),
        (late, [build.verdict(late, no)]),
        (good, [build.verdict(good)]),
        (vetoed, [build.verdict(vetoed), build.verdict(vetoed, no, verifier="language")]),
        (malformed, [build.verdict(malformed)]),
        (unjudged, []),
    ])  # fmt: skip
    again = [build.verdict(late, yes, version="2"), build.verdict(wrong, no, version="2")]
    corpus.append("verdicts", arrow("verdicts", [tables.verdict_row(v, tables.now()) for v in again]), "again", 1)
    two_of_five, one_of_one = Rate(2, 5), Rate(1, 1)  # malformed and vetoed traces count, unjudged ones do not
    expected = sorted([
        (good.prompt_id, 0, two_of_five), (late.prompt_id, 1, two_of_five), (other.prompt_id, 0, one_of_one),
    ], key=lambda row: row[:2])  # fmt: skip
    assert [(item.prompt.id, item.trace.sample, item.rate) for item in corpus.accepted("job")] == expected
    assert list(corpus.accepted("nobody")) == []


def test_a_fresh_corpus_answers_queries(corpus: Corpus) -> None:
    for name in [*SCHEMAS, "metrics", "latest_verdicts"]:
        assert corpus.rows(f"SELECT count(*) AS n FROM {name}", {}) == [{"n": 0}]
    assert pickle.loads(pickle.dumps(corpus)) == corpus == Corpus.open(corpus.root)


def test_odd_folder_names_work(tmp_path: Path, build: Any) -> None:
    corpus = Corpus.open(tmp_path / "o'dd folder é#")
    corpus.add_prompts([build.prompt()])
    assert corpus.prompt(build.prompt().id) == build.prompt()


@pytest.mark.parametrize("where", ["file", "file/below", "full", "100%", "a*b"])
def test_what_is_no_corpus_is_refused_in_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(CorpusError) as caught:
        Corpus.open(tmp_path / where)
    assert str(tmp_path / where) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scores_that_are_no_numbers_survive(corpus: Corpus, build: Any) -> None:
    trace = build.trace(build.prompt())
    build.store(corpus, [(trace, [build.verdict(trace, score=math.inf, elapsed_ms=0.0)])])
    assert corpus.verdicts(trace.id)[0].score == math.inf


def test_what_another_writer_is_about_to_commit_is_none_of_ours(local: Corpus, build: Any) -> None:
    """Such a file goes away at any moment: here it is a name without a file."""
    for number in (1, 2):
        log = Path(str(local.root)) / "prompts" / "_delta_log"
        (log / f"{local.delta('prompts').version() + 1:020d}.json#1").symlink_to("gone")
        assert local.append("prompts", arrow("prompts", [tables.prompt_row(build.prompt(number), 1)]), "me", number)
