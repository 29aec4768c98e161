"""The text of a judgement: what is shown is whole and cannot break out, and what is no reply says why."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.types import Completion
from tracemill.verifiers import judgement
from tracemill.verifiers.verdicts import Undecidable


def reply(code: str, correctness: str) -> str:
    return json.dumps({"analysis": "Compared.", "correctness": correctness, "request": code})


@given(st.text(), st.text())
def test_what_is_judged_is_shown_whole_in_one_line(question: str, answer: str) -> None:
    line = judgement.as_data({"question": question, "answer": answer})
    assert json.loads(line) == {"question": question, "answer": answer}
    assert line.isprintable()


def done(text: str, finish_reason: str = "stop", reasoning: str | None = None) -> Completion:
    return Completion("r", text, 1, 1, finish_reason, reasoning)


GOOD = reply("c0de", "correct")
BAD = reply("c0de", "incorrect")


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        (GOOD, "correct"),
        (f"```json\n{GOOD}\n```", "correct"),
        (GOOD.replace('"correct"', '" Correct"'), "correct"),
        (GOOD.replace("Compared.", "two\nlines"), "correct"),
        (GOOD + BAD.replace("c0de", "c1de"), "correct"),
        (GOOD + GOOD, "correct"),
        (f"<think>{BAD}</think>{GOOD}", "correct"),
        (f"{BAD}</think>{GOOD}", "correct"),
        (GOOD.replace("Compared.", "It wrote </think> and {"), "correct"),
        (f"{{ not JSON {GOOD}", "correct"),
    ],
)
def test_a_judgement_is_read(text: str, decision: str) -> None:
    assert judgement.read(done(text), "c0de", "correctness", ("correct", "incorrect")).decision == decision


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid_judgement: no JSON object in ''"),
        ("It is correct.", "invalid_judgement: no JSON object in 'It is correct.'"),
        (GOOD[:-1], "invalid_judgement: no JSON object"),
        ("{}", "invalid_judgement: other fields"),
        (f'{{"reply": {GOOD}}}', "invalid_judgement: other fields"),
        (GOOD.replace('"Compared."', "null"), "invalid_judgement: other fields"),
        ('{"correctness": "correct", "analysis": "", "request": "c0de"}', "invalid_judgement: other fields"),
        ('{"request": "c0de", "analysis": "", "correctness": "correct"}', "invalid_judgement: other fields"),
        (GOOD.replace("{", '{"correctness": "incorrect", '), "invalid_judgement: other fields"),
        (GOOD.replace("c0de", "c1de"), "invalid_judgement: another code"),
        (GOOD.replace('"correct"', '"right"'), "invalid_judgement: no such correctness"),
        (f"<think>{GOOD}", "invalid_judgement: no JSON object"),
        (f"<think>{GOOD}</think>", "invalid_judgement: no JSON object"),
        (GOOD + BAD, "conflicting_judgements"),
        ('{"a":' * 5000, "invalid_judgement: no JSON object"),
    ],
)
def test_what_is_no_judgement_says_why(text: str, reason: str) -> None:
    with pytest.raises(Undecidable) as caught:
        judgement.read(done(text), "c0de", "correctness", ("correct", "incorrect"))
    assert caught.value.reason.startswith(reason)
    assert "\n" not in caught.value.reason
    assert len(caught.value.reason) < 250


def test_a_judgement_that_was_cut_off_does_not_count() -> None:
    with pytest.raises(Undecidable, match="judgement_cut_off"):
        judgement.read(done(GOOD, "length"), "c0de", "correctness", ("correct",))


def test_reasoning_that_the_engine_split_off_is_no_part_of_the_reply() -> None:
    found = judgement.read(done(GOOD, reasoning=BAD), "c0de", "correctness", ("correct", "incorrect"))
    assert found.decision == "correct"


def test_the_schema_allows_judgements_only() -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(judgement.schema("correctness", ("correct", "incorrect"))))
    assert validator.is_valid(json.loads(reply("0123456789ab", "correct")))
    for other in (reply("0123456789ab", "yes"), reply("xyz", "correct"), '{"correctness": "correct"}'):
        assert not validator.is_valid(json.loads(other))
