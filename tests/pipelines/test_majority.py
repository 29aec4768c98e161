"""Labels by majority: who votes, what the samples get, and a whole job without gold from the recipe to the export."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import prompt_id, trace_id
from tracemill.core.settings import Settings
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.exporting import export_dataset
from tracemill.pipelines.majority import Labelled, judged, label
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.references import can_vote
from tracemill.pipelines.report import trace_lines
from tracemill.pipelines.runner import Result, Watch, run_job
from tracemill.verifiers.extraction import takes_back

MATH = plugins.get("verifiers", "math")
R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED


def prompt(verifier: str = "math") -> Prompt:
    text = "What is half of one?"
    return Prompt(prompt_id(text, verifier, ""), text, "math", verifier, "", "test")


def trace(sample: int, answer: str, of: Prompt | None = None, **fields: Any) -> Trace:
    asked = of or prompt()
    values: dict[str, Any] = {
        "id": trace_id("job", asked.id, sample), "prompt_id": asked.id, "job_id": "job", "sample": sample,
        "model": "small", "thinking": "r1", "reasoning": "I halve it.", "answer": answer, "faults": (),
        "sampling": Sampling(), "prompt_tokens": 5, "completion_tokens": 5, "finish_reason": "stop",
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    return Trace(**values | fields)


def outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    return [verdict.outcome for verdict in verdicts]


def test_answers_are_the_same_where_the_verifier_says_so() -> None:
    answers = ["\\boxed{\\frac{1}{2}}", "The answer is 0.5.", "1/2", "2", "2", "I do not know how."]
    verdicts = judged(prompt(), [trace(k, answer) for k, answer in enumerate(answers)], MATH, 3)
    assert outcomes(verdicts) == [R, R, R, W, W, N]
    assert {verdict.label for verdict in verdicts} == {"0.5"}
    assert {verdict.label_source for verdict in verdicts} == {"majority"}
    assert {verdict.verifier for verdict in verdicts} == {"math"}
    assert verdicts[0].reason == "equal: 3 of 5 votes"


@pytest.mark.parametrize(
    "answers",
    [["1", "1", "2", "2"], ["1", "1", "1", "2", "2", "2"], ["1", "2", "3", "4"], ["I do not know how."] * 5, [""] * 3],
)
def test_without_a_winner_nothing_is_wrong(answers: list[str]) -> None:
    verdicts = judged(prompt(), [trace(k, answer) for k, answer in enumerate(answers)], MATH, 3)
    assert set(outcomes(verdicts)) == {U}
    assert {verdict.reason.split(": ")[0] for verdict in verdicts} == {"no_majority"}
    assert {verdict.label for verdict in verdicts} == {None}
    assert all(verdict.score is None for verdict in verdicts)


def test_malformed_and_cut_off_samples_do_not_vote_but_are_judged() -> None:
    voices = [trace(0, "1"), trace(1, "1", faults=("no_close_tag",)), trace(2, "1", finish_reason="length")]
    assert set(outcomes(judged(prompt(), voices, MATH, 2))) == {U}
    assert outcomes(judged(prompt(), [*voices, trace(3, "1"), trace(4, "2")], MATH, 2)) == [R, R, R, R, W]


def test_what_cannot_be_compared_is_neither_a_vote_nor_wrong() -> None:
    verdicts = judged(prompt(), [trace(k, answer) for k, answer in enumerate(["(1,2)", "(1,2)", "\\{1,2\\}"])], MATH, 2)
    assert outcomes(verdicts) == [R, R, U]


@pytest.mark.parametrize(
    "answer",
    [
        "Since we cannot divide by zero, we don't get x = 0. \\boxed{2}",
        "I don't need the sine.\n#### 2",
        "We do not know y. The answer is 2.",
        "2",
    ],
)
def test_a_derivation_that_says_we_cannot_still_votes(answer: str) -> None:
    assert outcomes(judged(prompt(), [trace(0, answer), trace(1, answer)], MATH, 2)) == [R, R]


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot determine what the answer is from this text.",
        "I am sorry. The answer is Paris.",
        "<answer>We don't know</answer>",
        "<answer>Your final answer</answer>",
    ],
)
def test_a_refusal_is_no_vote_wherever_it_stands(answer: str) -> None:
    asked, exact = prompt("exact"), plugins.get("verifiers", "exact")
    verdicts = judged(asked, [trace(k, answer, asked) for k in range(3)], exact, 2)
    assert set(outcomes(verdicts)) == {U}
    assert verdicts[0].reason == "no_majority: 0 votes, at most 0 in the same words"


def test_real_samples_are_not_silenced_by_what_they_cannot_do_on_the_way(real_data: Path) -> None:
    on_the_way = re.compile(r"we (?:cannot|don't|do not|can't)", re.IGNORECASE)
    voted = silenced = 0
    with gzip.open(real_data / "labelled" / "math_l5_outputs.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            given = f"{row['output']}\n<answer>{row['answer']}</answer>"
            is_number = re.fullmatch(r"-?\d{1,6}", row["answer"] or "")
            if is_number and on_the_way.search(row["output"]) and not takes_back(given):
                (one, _) = judged(prompt(), [trace(0, given), trace(1, given)], MATH, 2)
                voted, silenced = voted + (one.outcome is R), silenced + (one.outcome is not R)
    assert voted > 100
    assert silenced == 0


def test_other_verifiers_compare_in_their_own_way() -> None:
    exact = plugins.get("verifiers", "exact")
    refusals = [trace(k, "Sorry, I cannot answer this.", prompt("exact")) for k in range(4)]
    assert set(outcomes(judged(prompt("exact"), refusals, exact, 3))) == {U}
    copied = [trace(k, "Your answer here", prompt("exact")) for k in range(4)]
    assert set(outcomes(judged(prompt("exact"), copied, exact, 3))) == {U}, "the template's words"
    cities = ["The answer is Paris.", "\\boxed{\\text{paris}}", "Paris", "London"]
    asked = prompt("exact")
    verdicts = judged(asked, [trace(k, answer, asked) for k, answer in enumerate(cities)], exact, 3)
    assert outcomes(verdicts) == [R, R, R, W]


pool = st.lists(st.sampled_from(["1/2", "0.5", "\\boxed{2/4}", "2", "x", "no idea at all", "0.333", "1/3"]), max_size=8)


@given(pool, st.randoms())
def test_the_order_of_the_samples_does_not_matter(answers: list[str], random: Any) -> None:
    traces = [trace(k, answer) for k, answer in enumerate(answers)]
    shuffled = random.sample(traces, len(traces))

    def said(verdicts: Sequence[Verdict]) -> dict[str, tuple[Outcome, str, str | None]]:
        return {one.trace_id: (one.outcome, one.reason, one.label) for one in verdicts}

    assert said(judged(prompt(), traces, MATH, 2)) == said(judged(prompt(), shuffled, MATH, 2))


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db", exports=tmp_path / "exports")


def plan_of(
    tmp_path: Path,
    rows: Sequence[dict[str, Any]],
    min_votes: int | None = 3,
    judge: dict[str, Any] | None = None,
    **source: object,
) -> Plan:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    verify = {} if min_votes is None else {"majority": {"min_votes": min_votes}}
    prompts = [{"source": "jsonl", "path": str(path), **source}]
    recipe = {"name": "goldless", "prompts": prompts, "verify": verify, "judge": judge}
    return make_plan(recipes.parse({**recipe, "generate": {"engine": "fake", "samples": 24}}))


NO_GOLD = [{"prompt": f"What is {k} + {3 * k}?"} for k in range(12)]
NULL: dict[str, Any] = {"columns": {"reference": None}}


async def run(plan: Plan, here: Settings) -> tuple[Result, list[str]]:
    stages: list[str] = []
    return await run_job(plan, here, Watch(on_stage=stages.append)), stages


async def test_a_job_without_gold_keeps_what_most_samples_say(tmp_path: Path, here: Settings) -> None:
    plan = plan_of(tmp_path, NO_GOLD, **NULL)
    result, stages = await run(plan, here)
    assert stages == ["checking", "loading", "generating", "labelling", "sifting", "selecting"]
    assert result.labelled == Labelled(12, 12, 288)
    assert result.dataset.rows == result.funnel.kept == 12
    corpus = Corpus.open(here.corpus)
    kept = corpus.rows(
        "SELECT d.label_source, d.label, p.text FROM datasets d JOIN traces t ON t.id = d.trace_id"
        " JOIN prompts p ON p.id = t.prompt_id",
        {},
    )
    for row in kept:
        left, right = map(int, row["text"].removeprefix("What is ").removesuffix("?").split(" + "))
        assert (row["label_source"], row["label"]) == ("majority", str(left + right))
    shown = "\n".join(trace_lines(corpus, result.dataset, kept=1, rejected=0))
    assert "(majority)" in shown
    made = export_dataset(here, "goldless", None, None, "parquet")
    assert "| label sources | majority (12) |" in (made.path / "README.md").read_text()
    exported = datasets.load_dataset(str(made.path), split="train")
    assert set(exported["label_source"]) == {"majority"}
    assert sorted(exported["reference"]) == sorted(row["label"] for row in kept)


async def test_again_it_stores_nothing_and_other_votes_give_other_verdicts_without_generating(
    tmp_path: Path, here: Settings
) -> None:
    first, _ = await run(plan_of(tmp_path, NO_GOLD, **NULL), here)
    again, stages = await run(plan_of(tmp_path, NO_GOLD, **NULL), here)
    assert stages == ["labelling", "sifting", "selecting"]
    assert again.labelled == Labelled(12, 12, 0)
    assert (again.dataset.version, again.dataset.is_new) == (first.dataset.version, False)
    strict, stages = await run(plan_of(tmp_path, NO_GOLD, min_votes=16, **NULL), here)
    assert "generating" not in stages
    assert strict.job_id == first.job_id
    assert strict.labelled is not None
    assert strict.labelled.labelled < 12
    assert any(part.reason == "math: undecided/no_majority" for part in strict.funnel.fallen)
    assert not any(part.reason.startswith("math: undecided/no_reference") for part in strict.funnel.fallen)


async def test_more_samples_give_a_new_verdict(here: Settings) -> None:
    corpus = Corpus.open(here.corpus)
    asked = prompt()
    corpus.add_prompts([asked])

    def add(*traces: Trace) -> Labelled:
        with Ledger.open(corpus, "job") as ledger:
            ledger.record([(one, ()) for one in traces])
        return label(corpus, "job", {"math": MATH}, 2)

    def latest() -> list[str]:
        sql = "SELECT v.outcome FROM latest_verdicts v JOIN traces t ON t.id = v.trace_id ORDER BY t.sample"
        return [row["outcome"] for row in corpus.rows(sql, {})]

    assert add(trace(0, "1"), trace(1, "2")) == Labelled(1, 0, 2)
    assert latest() == ["undecided", "undecided"]
    assert add(trace(2, "2")) == Labelled(1, 1, 3)
    assert latest() == ["wrong", "correct", "correct"]
    assert add(trace(3, "1")) == Labelled(1, 0, 4), "a tie again: nothing stays right or wrong"
    assert latest() == ["undecided"] * 4


async def test_prompts_with_gold_are_left_alone(tmp_path: Path, here: Settings) -> None:
    rows = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k) if k % 2 else ""} for k in range(10)]
    result, _ = await run(plan_of(tmp_path, rows), here)
    assert result.labelled is not None
    assert result.labelled.prompts == 5
    found = Corpus.open(here.corpus).rows(
        "SELECT DISTINCT p.reference = '' AS goldless, v.label_source FROM latest_verdicts v JOIN traces t ON t.id = v.trace_id"
        " JOIN prompts p ON p.id = t.prompt_id WHERE v.verifier = 'math' ORDER BY ALL",
        {},
    )
    assert [(row["goldless"], row["label_source"]) for row in found] == [(False, "gold"), (True, "majority")]


def test_a_reference_of_white_space_is_none_in_sql_as_in_python(here: Settings) -> None:
    corpus = Corpus.open(here.corpus)
    spaces = [*filter(str.isspace, map(chr, range(sys.maxunicode + 1))), "", " \u00a0\n"]
    asked = [replace(prompt(), id=f"p{k}", reference=one) for k, one in enumerate([*spaces, "\u200b", "0"])]
    corpus.add_prompts(asked)
    with Ledger.open(corpus, "job") as ledger:
        ledger.record([(trace(sample, "1", one), ()) for one in asked for sample in (0, 1)])
    assert label(corpus, "job", {"math": MATH}, 2) == Labelled(len(spaces), len(spaces), 2 * len(spaces))


def test_where_nobody_votes_a_row_without_gold_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"questions\.jsonl:2: column 'answer' is empty, and math needs one; add it, or"
    ):
        plan_of(tmp_path, [{"prompt": "1 + 1", "answer": "2"}, {"prompt": "2 + 2", "answer": None}], min_votes=None)
    with pytest.raises(InputError, match=r"questions\.jsonl:1: no gold answer, and math needs one; add it, or let"):
        plan_of(tmp_path, NO_GOLD, min_votes=None, **NULL)
    with pytest.raises(
        InputError, match=r"questions\.jsonl:1: no column 'answer' \(the row has: prompt\); set prompts"
    ):
        plan_of(tmp_path, NO_GOLD)  # the name may be misspelt
    with pytest.raises(InputError, match=r"questions\.jsonl:1: no gold answer, and json needs one"):
        plan_of(tmp_path, NO_GOLD, verifier="json", **NULL)  # a schema is no answer: any object would meet it
    judged_by = {"verifier": "judge", "judge": {"engine": "fake"}, **NULL}
    with pytest.raises(
        InputError, match=r"questions\.jsonl:1: no gold answer, and judge needs one; add it, or let samp"
    ):
        plan_of(tmp_path, NO_GOLD, **judged_by)  # a model would have to compare each pair of samples
    assert len(plan_of(tmp_path, NO_GOLD, min_votes=None, verifier="format", **NULL).tasks) == 12


def test_only_verifiers_that_compare_answers_can_vote() -> None:
    voting = {name for name, module in plugins.load("verifiers").items() if can_vote(module.plugin)}
    assert voting == {"math", "numeric", "choice", "exact"}
