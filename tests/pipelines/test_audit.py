"""An audit over stored verdicts: what is sampled, what is counted, stored once, and never made of guesses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import prompt_id, trace_id
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.pipelines.audit import SHARES, Scope, allocate, check, draw, stored
from tracemill.pipelines.estimate import interval

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
EXACT = plugins.get("verifiers", "exact")
JOB = Scope("imported")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """200 imported traces, without a recipe and without a job in the jobs store: 100 right, 60 wrong, 40 others.

    `exact` calls wrong what ends in 3, cannot judge what ends in 7, and calls the rest right.
    """
    made = Corpus.open(tmp_path / "corpus")
    outcomes = [R] * 100 + [W] * 60 + [N] * 20 + [U] * 20
    prompts, samples = [], []
    for number, outcome in enumerate(outcomes):
        text = f"Say {number}."
        reference = {3: "other", 7: '["half a list", 1]'}.get(number % 10, str(number))
        prompt = Prompt(prompt_id(text, "math", reference), text, "math", "math", reference, "import")
        trace = Trace(
            trace_id("imported", prompt.id, 0), prompt.id, "imported", 0, "other", "native", "", str(number), (), Sampling(),
            1, 1, "stop", datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        prompts.append(prompt)
        score = None if outcome is U else float(outcome is R)
        samples.append((trace, [Verdict(trace.id, "math", "3", outcome, score, "imported")]))
    made.add_prompts(prompts)
    with Ledger.open(made, "imported") as ledger:
        ledger.record(samples)
    return made


def test_a_census_counts_what_is_there(corpus: Corpus) -> None:
    sample = draw(corpus, JOB, EXACT, {}, 1000, 0)
    assert (len(sample.rows), sample.population) == (200, 200)
    found = check(corpus, sample, EXACT, {})
    assert found.table()["correct"] == {"correct": 80, "wrong": 10, "unparsed": 0, "undecided": 10}
    assert found.table()["wrong"] == {"correct": 48, "wrong": 6, "unparsed": 0, "undecided": 6}
    assert found.population() == {"correct": 100, "wrong": 60, "unparsed": 20, "undecided": 20}
    accepts = found.false_accepts()
    assert (accepts.disagree, accepts.decided, accepts.undecided) == (10, 90, 10)
    assert accepts.share == pytest.approx(10 / 90)
    assert (accepts.low, accepts.high) == pytest.approx(interval(10, 90))
    rejects = found.false_rejects()
    assert (rejects.disagree, rejects.decided, rejects.undecided) == (48, 54, 6)
    worst = found.disagreements(12)
    assert [row["outcome"] for row in worst] == ["correct"] * 10 + ["wrong"] * 2


def test_the_same_audit_is_made_once_and_another_seed_is_another(corpus: Corpus) -> None:
    sample = draw(corpus, JOB, EXACT, {}, 50, 7)
    assert len(sample.rows) == 50
    assert stored(corpus, sample.audit_id) is None
    first = check(corpus, sample, EXACT, {})
    check(corpus, sample, EXACT, {})
    assert corpus.rows("SELECT count(*) AS n FROM audits", {}) == [{"n": 50}]
    again = draw(corpus, JOB, EXACT, {}, 50, 7)
    assert again.audit_id == sample.audit_id
    found = stored(corpus, again.audit_id)
    assert found is not None
    assert (found.table(), found.false_accepts(), found.is_new) == (first.table(), first.false_accepts(), False)
    assert [row["trace_id"] for row in found.rows] == [row["trace_id"] for row in first.rows]
    other = draw(corpus, JOB, EXACT, {}, 50, 8)
    assert other.audit_id != sample.audit_id
    assert {row["trace_id"] for row in other.rows} != {row["trace_id"] for row in sample.rows}
    assert draw(corpus, JOB, EXACT, {"case": True}, 50, 7).audit_id != sample.audit_id


def test_new_verdicts_make_it_another_audit(corpus: Corpus) -> None:
    sample = draw(corpus, JOB, EXACT, {}, 50, 7)
    corpus.add_verdicts("later", [Verdict(sample.rows[0]["trace_id"], "math", "4", N, 0.0, "no_answer")], 2**52)
    assert draw(corpus, JOB, EXACT, {}, 50, 7).audit_id != sample.audit_id


def test_too_few_samples_and_nothing_to_look_at_are_said(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="--samples: 3 is less than the 4 strata"):
        draw(corpus, JOB, EXACT, {}, 3, 0)
    with pytest.raises(InputError, match="no trace of job nothing has a verdict"):
        draw(corpus, Scope("nothing"), EXACT, {}, 10, 0)


strata = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.tuples(st.sampled_from(Outcome), st.integers(1, 500)), min_size=1
)


@given(strata, st.integers(0, 400))
def test_every_stratum_gets_one_none_more_than_it_has_and_none_is_wasted(
    sizes: dict[str, tuple[Outcome, int]], more: int
) -> None:
    given_to = allocate(sizes, len(sizes) + more)
    assert all(1 <= given_to[name] <= size for name, (_, size) in sizes.items())
    assert sum(given_to.values()) == min(len(sizes) + more, sum(size for _, size in sizes.values()))


def test_right_and_wrong_verdicts_get_most_of_the_samples() -> None:
    sizes = {"m r": (R, 9000), "e r": (R, 1000), "m w": (W, 50), "m n": (N, 900), "m u": (U, 900)}
    assert SHARES[R] == SHARES[W] == 4 * SHARES[U]
    assert allocate(sizes, 100) == {"m r": 36, "e r": 4, "m w": 40, "m n": 10, "m u": 10}
    assert allocate({"m r": (R, 9000), "m w": (W, 3)}, 100) == {"m r": 97, "m w": 3}
