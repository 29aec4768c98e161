"""Figures of a job's chains: each well-formed one once; and what a labeller counts, beside what the markers count."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.anatomy import MARKERS, Habits
from tracemill.core.errors import RefusedRequest, Stopped
from tracemill.core.ids import prompt_id, trace_id
from tracemill.core.settings import Settings
from tracemill.core.types import Completion, Outcome, Prompt, Request, Sampling, Trace, Verdict
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.filters.behaviours import VERSION, anatomy
from tracemill.pipelines import anatomy as measuring
from tracemill.pipelines.agreement import agreement, ranks
from tracemill.pipelines.anatomy import measure
from tracemill.pipelines.labeller import counts_words, label, read
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Watch, run_job

CHECKING = "We add 5 to 7. Let me check that: it is 12, so it is right in the end."
TURNING = "It is a fish. Alternatively, it is one of the birds that we know."
PLAIN = "We add 5 to 7, and the sum of it is 12."


def add(corpus: Corpus, numbers: range, job_id: str = "job", faults: tuple[str, ...] = ()) -> None:
    chains, samples, prompts = (CHECKING, TURNING, PLAIN), [], []
    for number in numbers:
        text = f"Say {number}."
        prompt = Prompt(prompt_id(text, "math", "1"), text, "math", "math", "1", "test")
        trace = Trace(
            trace_id(job_id, prompt.id, 0), prompt.id, job_id, 0, "small", "r1", chains[number % 3], "1", faults, Sampling(),
            1, 1, "stop", datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        prompts.append(prompt)
        samples.append((trace, [Verdict(trace.id, "math", "1", Outcome.WRONG, 0.0, "test")]))
    corpus.add_prompts(prompts)
    with Ledger.open(corpus, job_id) as ledger:
        ledger.record(samples)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open(tmp_path / "corpus")


def stored(corpus: Corpus) -> list[dict[str, Any]]:
    return corpus.rows("SELECT * EXCLUDE created_at FROM anatomy ORDER BY trace_id", {})


def test_each_well_formed_chain_of_the_job_is_measured_once(corpus: Corpus) -> None:
    add(corpus, range(6))
    add(corpus, range(6, 9), faults=("no_close_tag",))
    add(corpus, range(3), job_id="another")
    told: list[int] = []
    assert measure(corpus, "job", told.append) == 6, "wrong answers too, malformed ones not"
    assert told == [6]
    rows = stored(corpus)
    reasoning = {row["id"]: row["reasoning"] for row in corpus.rows("SELECT id, reasoning FROM traces", {})}
    for row in rows:
        figures = anatomy(reasoning[row["trace_id"]])
        assert (row["job_id"], row["labeller"], row["version"]) == ("job", MARKERS, VERSION)
        for name in Habits.__slots__:
            assert row[name] == getattr(figures.habits, name)
        for name in ("definition_end", "bloom_end", "cycles", "rumination", "final_start", "words", "flesch"):
            assert row[name] == getattr(figures, name)
    assert sum(row["verification"] for row in rows) == 2
    assert measure(corpus, "job") == 0
    add(corpus, range(9, 12))
    assert measure(corpus, "job") == 3
    assert len(stored(corpus)) == 9


def test_what_a_stopped_run_has_measured_is_not_measured_again(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "PART", 4)
    monkeypatch.setattr("tracemill.corpus.store._BATCH", 4)
    add(corpus, range(10))

    def look(count: int) -> None:
        if count > 8:
            raise Stopped("while sifting")

    with pytest.raises(Stopped):
        measure(corpus, "job", look, workers=1)
    assert len(stored(corpus)) == 8
    assert measure(corpus, "job", workers=1) == 2
    assert len(stored(corpus)) == 10


def test_a_new_version_of_the_markers_measures_again_and_is_the_latest(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(corpus, range(3))
    measure(corpus, "job")
    monkeypatch.setattr(measuring, "VERSION", "2")
    assert measure(corpus, "job") == 3
    assert len(stored(corpus)) == 6
    assert corpus.rows("SELECT DISTINCT version FROM latest_anatomy", {}) == [{"version": "2"}]
    assert corpus.rows("SELECT count(*) AS n FROM latest_anatomy", {}) == [{"n": 3}]


async def test_a_job_measures_its_chains_while_it_sifts(sums: Callable[..., Plan], tmp_path: Path) -> None:
    here = Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db")
    seen: list[str] = []
    result = await run_job(sums(), here, Watch(on_sifting=lambda sifter, count: seen.append(sifter)))
    assert seen[-1] == "anatomy"
    ((count,),) = map(dict.values, Corpus.open(here.corpus).rows("SELECT count(*) FROM latest_anatomy", {}))
    assert count == result.funnel.well_formed


async def test_a_labeller_counts_in_a_seeded_sample_and_agrees_or_not(corpus: Corpus) -> None:
    add(corpus, range(30))
    measure(corpus, "job")
    engine = FakeEngine(script=counts_words)
    first = await label(corpus, "job", engine, "model", 12, 1)
    assert (first.sampled, first.labelled) == (12, 12)
    assert len(engine.completed) == 48, "four questions a chain"
    rows = [row for row in stored(corpus) if row["labeller"] == "model"]
    assert len(rows) == 12
    assert all(row["words"] is None and row["cycles"] is None for row in rows)
    checked, turned = first.agreement["verification"], first.agreement["backtracking"]
    assert (checked.precision, checked.recall, checked.kappa, checked.spearman) == (1, 1, 1, 1)
    assert (turned.only_first, turned.only_second, turned.kappa) == (0, 0, 1)
    assert first.agreement["backward_chaining"].kappa is None, "nobody found any"

    await label(corpus, "job", engine, "model", 12, 1)
    assert len(engine.completed) == 48, "these are counted"
    more = await label(corpus, "job", engine, "model", 12, 2)
    assert more.labelled == 12
    assert turned.both + turned.neither == 12
    assert more.agreement["backtracking"].both + more.agreement["backtracking"].neither > 12, "of both samples"


async def test_what_the_model_leaves_open_has_no_label(corpus: Corpus) -> None:
    add(corpus, range(9))
    measure(corpus, "job")

    def answers(request: Request) -> str:
        text = request.prompt[-1].content  # type: ignore[union-attr]
        if "Alternatively" in text:
            raise RefusedRequest("too long")
        return "many" if CHECKING[:20] in text and "backtracking" in text else json.dumps({"analysis": "", "count": 1})

    found = await label(corpus, "job", FakeEngine(script=answers), "model", 100, 0)
    assert (found.sampled, found.labelled) == (9, 3)
    assert sum(row["labeller"] == "model" for row in stored(corpus)) == 3


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"analysis": "Two checks.", "count": 2}', 2),
        ('Here: {"analysis": "", "count": 0} .', 0),
        ('{"analysis": "", "count": true}', None),
        ('{"analysis": "", "count": -1}', None),
        ('{"analysis": "", "count": 2.5}', None),
        ('{"analysis": ""}', None),
        ("[1]", None),
        ("} {", None),
        ("2", None),
        pytest.param('{"count": ' + "[" * 100_000 + "]" * 100_000 + "}", None, id="deeply nested"),
    ],
)
def test_a_count_is_read_or_not(text: str, count: int | None) -> None:
    assert read(Completion("r", text, 1, 1, "stop")) == count
    assert read(Completion("r", text, 1, 1, "length")) is None


def test_agreement_is_what_it_is_called() -> None:
    found = agreement([(1, 1)] * 20 + [(2, 0)] * 5 + [(0, 3)] * 10 + [(0, 0)] * 15)
    assert (found.both, found.only_first, found.only_second, found.neither) == (20, 5, 10, 15)
    assert found.precision == pytest.approx(0.8)
    assert found.recall == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx(0.4)
    assert agreement([(1, 10), (2, 30), (3, 20)]).spearman == pytest.approx(0.5)
    assert agreement([(1, 1), (1, 1)]).spearman is None
    assert agreement([]) == agreement(iter(()))
    assert agreement([]).kappa is None
    assert ranks([5, 1, 5, 7]) == [2.5, 1, 2.5, 4]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_agreement_is_symmetric_and_bounded(pairs: list[tuple[int, int]]) -> None:
    one, other = agreement(pairs), agreement([(b, a) for a, b in pairs])
    assert (one.precision, one.recall) == (other.recall, other.precision)
    assert one.both + one.only_first + one.only_second + one.neither == len(pairs)
    for name in ("kappa", "spearman"):
        value = getattr(one, name)
        assert value == pytest.approx(getattr(other, name)) if value is not None else getattr(other, name) is None
        assert value is None or -1.0001 <= value <= 1.0001
    same = agreement([(a, a) for a, _ in pairs])
    assert same.kappa in (None, 1)
    assert same.spearman is None or same.spearman == pytest.approx(1)
