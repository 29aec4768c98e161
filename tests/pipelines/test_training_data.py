"""What a training reads of data sets: which traces, which pairs, which questions, and what makes them other data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.conftest import Build

from tracemill.core.errors import InputError
from tracemill.core.types import Outcome, Prompt, Verdict
from tracemill.corpus import tables
from tracemill.corpus.selection import Selection, select
from tracemill.corpus.store import Corpus
from tracemill.pipelines.train_section import DataSection
from tracemill.pipelines.training_data import Part, Questions, pairs, parts
from tracemill.trainers.options import Method

R, W = Outcome.CORRECT, Outcome.WRONG
SUMS = [Build.prompt(number) for number in range(4)]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open(tmp_path / "corpus")


def made(corpus: Corpus, name: str, samples: Iterable[tuple[Prompt, str]], **verdict: Any) -> None:
    """A job, and the data set of its right samples: `rrw` of a prompt is two right ones and a wrong one."""
    found = []
    for prompt, outcomes in samples:
        corpus.add_prompts([prompt])
        for sample, outcome in enumerate(outcomes):
            trace = Build.trace(prompt, sample, name)
            given = {"verifier": prompt.verifier, **verdict}
            found.append((trace, [Build.verdict(trace, R if outcome == "r" else W, **given)]))
    Build.store(corpus, found, name)
    select(corpus, name, "policy", name, Selection())


def each(outcomes: str, prompts: Iterable[Prompt] = SUMS) -> list[tuple[Prompt, str]]:
    return [(prompt, outcomes) for prompt in prompts]


def part(corpus: Corpus, method: Method = "sft", of: str = "sums", **section: Any) -> Part:
    return parts(corpus, [DataSection(of=of, **section)], 0, method)[0]


def asked(corpus: Corpus, *found: Part) -> tuple[list[Prompt], int]:
    questions = Questions()
    return list(questions.of(corpus, found)), questions.repeated


def rejudged(corpus: Corpus, traces: Iterable[str], outcome: Outcome) -> None:
    verdicts = [Verdict(trace, "math", "2", outcome, None, "other") for trace in traces]
    corpus.add_verdicts("again", verdicts, tables.now())


def test_prompts_that_a_reward_model_judges_have_no_reference(corpus: Corpus) -> None:
    made(corpus, "sums", each("rrw"))
    rule, liked = part(corpus, "grpo"), part(corpus, "grpo", reward="preference")
    (judged, _), (scored, _) = asked(corpus, rule), asked(corpus, liked)
    assert {one.id for one in judged} == {one.id for one in SUMS}
    assert [one.text for one in scored] == [one.text for one in judged]
    assert {one.verifier for one in judged} == {"math"}
    assert all(one.reference for one in judged)
    assert {(one.verifier, one.reference) for one in scored} == {("preference", "")}
    assert rule.ids == liked.ids
    assert rule.digest != liked.digest
    assert liked.plain() == {**rule.plain(), "reward": "preference"}


@pytest.mark.parametrize("method", ["sft", "grpo", "dpo", "reward"])
def test_a_data_set_that_masks_is_other_data(corpus: Corpus, method: Method) -> None:
    made(corpus, "sums", each("rw"))
    select(corpus, "sums", "policy", "sums", Selection(masks=("email",)))
    plain, masked = part(corpus, method, "sums@1"), part(corpus, method, "sums@2")
    assert plain.ids == masked.ids
    assert plain.digest != masked.digest
    assert plain.digest == part(corpus, method, "sums@1").digest


def test_another_majority_is_another_reference_and_other_data_for_grpo_alone(corpus: Corpus) -> None:
    made(corpus, "sums", [(SUMS[1], "r")], label_source="majority", label="2")
    voted = Verdict(Build.trace(SUMS[1], 0, "sums").id, "math", "1", R, 1.0, "equal", "3", 1.0, "majority", "3")
    corpus.add_verdicts("vote", [voted], tables.now())
    select(corpus, "sums", "policy", "sums", Selection())
    first, second = part(corpus, "grpo", "sums@1"), part(corpus, "grpo", "sums@2")
    assert first.ids == second.ids
    assert [asked(corpus, one)[0][0].reference for one in (first, second)] == ["2", "3"]
    assert first.digest != second.digest
    assert part(corpus, "sft", "sums@1").digest == part(corpus, "sft", "sums@2").digest


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_traces_without_a_wrong_one_are_counted_and_rows_are_pairs(corpus: Corpus, method: Method) -> None:
    made(corpus, "sums", [(SUMS[0], "rrw"), (SUMS[1], "rw"), (SUMS[2], "rr"), (SUMS[3], "rww")])
    found = part(corpus, method)
    assert (len(found.ids), found.unpaired) == (3, 3)
    assert {name: value for name, value in found.plain().items() if name in ("rows", "unpaired")} == {
        "rows": 3, "unpaired": 3,
    }  # fmt: skip
    assert len(set(found.beside)) == 3
    drawn = part(corpus, method, rows=2)
    assert (len(drawn.ids), drawn.unpaired) == (2, 3)
    assert len(list(pairs(corpus, drawn))) == 2, "what is drawn keeps its partner"
    with pytest.raises(InputError, match=r"^train\.data\[0\]\.rows: sums has 3 pairs, not 4$"):
        part(corpus, method, rows=4)


def test_a_pair_is_of_one_prompt_in_the_order_of_the_data_set(corpus: Corpus) -> None:
    made(corpus, "sums", [(SUMS[0], "rrw"), (SUMS[1], "rw"), (SUMS[3], "wrw")])
    found = part(corpus, "dpo")
    for (prompt, chosen, rejected), first, second in zip(pairs(corpus, found), found.ids, found.beside, strict=True):
        assert (chosen.id, rejected.id) == (first, second)
        assert prompt.id == chosen.prompt_id == rejected.prompt_id


def test_a_cut_chain_is_the_last_to_be_the_wrong_one(corpus: Corpus) -> None:
    corpus.add_prompts(SUMS[:1])
    right, cut, wrong = (
        Build.trace(SUMS[0], sample, "sums", finish_reason=reason)
        for sample, reason in enumerate(("stop", "length", "stop"))
    )
    Build.store(corpus, [(one, [Build.verdict(one, R if one is right else W)]) for one in (right, cut, wrong)], "sums")
    select(corpus, "sums", "policy", "sums", Selection())
    assert part(corpus, "dpo").beside == (wrong.id,)


def test_after_a_rejudging_pairs_are_other_data(corpus: Corpus) -> None:
    made(corpus, "sums", [(SUMS[0], "rw"), (SUMS[1], "rw")])
    before = part(corpus, "dpo")
    rejudged(corpus, before.beside[:1], Outcome.UNDECIDED)
    after = part(corpus, "dpo")
    assert (len(before.ids), len(after.ids), after.unpaired) == (2, 1, 1)
    assert before.digest != after.digest
    assert part(corpus, "sft").ids == before.ids
    assert len(list(pairs(corpus, before))) == 2, "what is planned stays"
    rejudged(corpus, after.beside, Outcome.UNDECIDED)
    with pytest.raises(InputError, match=r"^train\.data\[0\]: no trace of sums has a wrong one of its prompt to pair"):
        part(corpus, "dpo")


def test_a_question_of_two_data_sets_is_asked_once_as_the_first_says(corpus: Corpus) -> None:
    made(corpus, "sums", each("rr", SUMS[:3]))
    other = Build.prompt(2, id="other", verifier="numeric")  # the same text
    made(corpus, "general", [(SUMS[3], "r"), (other, "rr")])
    rule, liked = part(corpus, "grpo"), part(corpus, "grpo", "general", reward="preference")
    found, repeated = asked(corpus, rule, liked)
    assert repeated == 1
    assert sorted((one.text, one.verifier) for one in found) == [
        ("What is 0 + 0?", "math"), ("What is 1 + 1?", "math"), ("What is 2 + 2?", "math"),
        ("What is 3 + 3?", "preference"),
    ]  # fmt: skip
    found, repeated = asked(corpus, liked, rule)
    assert repeated == 1
    assert {one.verifier for one in found if one.text == "What is 2 + 2?"} == {"preference"}


def test_the_same_job_made_again_in_another_corpus_is_other_data(corpus: Corpus, tmp_path: Path) -> None:
    found = []
    for day, place in ((1, corpus), (2, Corpus.open(tmp_path / "there")), (2, Corpus.open(tmp_path / "copy"))):
        trace = Build.trace(SUMS[0], job_id="sums", created_at=datetime(2026, 1, day, tzinfo=UTC))
        place.add_prompts(SUMS[:1])
        Build.store(place, [(trace, [Build.verdict(trace, R)])], "sums")
        select(place, "sums", "policy", "sums", Selection())
        found.append(part(place))
    first, second, copy = found
    assert first.ids == second.ids == copy.ids, "a trace's id tells its job, prompt and sample"
    assert first.digest != second.digest == copy.digest


def test_a_data_set_of_the_same_name_in_another_corpus_is_another(corpus: Corpus, tmp_path: Path) -> None:
    there = Corpus.open(tmp_path / "there")
    made(corpus, "sums", [(SUMS[0], "rr"), (SUMS[1], "rr")])
    made(there, "sums", [(SUMS[0], "rr"), (SUMS[2], "rr")])
    assert part(corpus).plain()["id"] != part(there).plain()["id"]
    assert part(corpus, rows=1).plain()["id"] == part(corpus).plain()["id"], "of the data set, whatever is drawn of it"
    assert part(corpus, take="all").plain()["id"] == "sums", "the job's id"
