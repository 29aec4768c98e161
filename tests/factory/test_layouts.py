"""Rows of trace sets as prompts and completions: what is read, what is passed over, what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.ids import prompt_id
from tracemill.factory.layouts import OPENR1_MATH, ColumnLayout, Common, Recorded, Row

ONE = {"prompt": "1 + 1?", "answer": "2", "completion": "<think>\nEasy.\n</think>\n2"}
COMMON = Common("rows.jsonl", "prompts[0]")


def read(layout: ColumnLayout, row: dict[str, Any], common: Common = COMMON) -> Row:
    return layout.row(row, "rows.jsonl:7", common)


def test_a_row_holds_one_completion_or_a_list_of_them() -> None:
    one = read(ColumnLayout(), ONE)
    assert one.prompt.id == prompt_id("1 + 1?", "math", "2")
    assert (one.prompt.text, one.prompt.reference, one.prompt.source) == ("1 + 1?", "2", "rows.jsonl")
    assert one.completions == (Recorded("<think>\nEasy.\n</think>\n2"),)
    many = read(ColumnLayout(), {**ONE, "completion": ["a", "b"]})
    assert [found.text for found in many.completions] == ["a", "b"]
    assert many.prompt == one.prompt


def test_other_columns_hold_one_value_for_all_or_one_for_each() -> None:
    layout = ColumnLayout(
        model="model",
        reasoning="thought",
        prompt_tokens="given",
        completion_tokens="made",
        finish_reason="end",
        metadata=("task",),
    )
    row = {
        **ONE,
        "completion": ["2", "3"],
        "model": "m",
        "thought": ["Easy.", None],
        "given": 5,
        "made": [10.0, None],
        "end": ["length", None],
        "task": "sums",
    }
    found = read(layout, row)
    assert found.completions == (
        Recorded("2", "Easy.", "m", 5, 10, "length"),
        Recorded("3", None, "m", 5, None, "stop", at=1),
    )
    assert found.prompt.metadata == {"task": "sums"}


def test_a_dotted_name_goes_into_objects_and_lists_of_them() -> None:
    layout = ColumnLayout(text="item.question", completion="completions.text", model="completions.by.name")
    row = {
        "item": {"question": "1 + 1?"},
        "answer": 2,
        "completions": [{"text": "2", "by": {"name": "a"}}, {"text": "3", "by": None}],
    }
    found = read(layout, row, Common("f", "p", model="b"))
    assert found.prompt.reference == "2"
    assert found.completions == (Recorded("2", model="a"), Recorded("3", model="b", at=1))
    dotted = ColumnLayout(completion="a.b")
    assert read(dotted, {**ONE, "a.b": "as it stands"}).completions == (Recorded("as it stands"),)


def test_what_is_no_completion_is_counted_with_its_reason() -> None:
    layout = ColumnLayout(finish_reason="end")
    row = {**ONE, "completion": ["a", None, "b", ""], "end": ["STOP", None, "content_filter", "max_tokens"]}
    found = read(layout, row)
    assert found.completions == (Recorded("a"), Recorded("", finish_reason="length", at=3))
    assert found.passed_over == ("completion is null", "finish reason 'content_filter'")
    assert read(ColumnLayout(), {**ONE, "completion": []}).passed_over == ("an empty list of completions",)


def test_a_reference_may_be_a_test_set_or_missing() -> None:
    tests = {"inputs": ["1\n"], "outputs": ["2\n"]}
    assert (
        read(ColumnLayout(), {**ONE, "answer": tests}).prompt.reference == '{"inputs": ["1\\n"], "outputs": ["2\\n"]}'
    )
    assert read(ColumnLayout(), {**ONE, "answer": None}).prompt.reference == ""
    assert read(ColumnLayout(reference=None), {"prompt": "?", "completion": "a"}).prompt.reference == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": " "}, r"rows\.jsonl:7: column 'prompt' is empty"),
        ({"prompt": [{"role": "user"}]}, r"rows\.jsonl:7: column 'prompt' must be text, this is list"),
        ({"completion": {"text": "a"}}, r"completion 'completion' must be text, this is dict \(.* completion\.NAME\)"),
        ({"completion": ["a", 3]}, r"rows\.jsonl:7: completion 'completion' must be text, this is int"),
        ({"made": [1, 2]}, r"rows\.jsonl:7: column 'made' has 2 values for 1 completions"),
        ({"made": -1}, r"completion_tokens 'made' must be a whole number, this is -1"),
        ({"made": "12"}, r"completion_tokens 'made' must be a whole number, this is '12'"),
    ],
)
def test_a_row_of_the_wrong_shape_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(ColumnLayout(completion_tokens="made"), {**ONE, "made": None, **change})


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (ColumnLayout(text="question"), r"no column 'question' \(there are: prompt, answer, completion\); set prompts\[0\]\.columns\.text$"),
        (ColumnLayout(reference="gold"), r"set prompts\[0\]\.columns\.reference, to null where there are no gold answers"),
        (ColumnLayout(completion="prompt.text"), r"rows\.jsonl:7: no column 'prompt\.text'"),
        (ColumnLayout(model="model"), r"set prompts\[0\]\.columns\.model$"),
    ],
)  # fmt: skip
def test_a_name_that_the_row_lacks_is_refused_with_the_remedy(layout: ColumnLayout, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(layout, ONE)


OPENR1 = {
    "problem": "Compute $1+1$.",
    "solution": "We add.",
    "answer": "2",
    "problem_type": "Algebra",
    "question_type": "math-word-problem",
    "source": "olympiads",
    "uuid": "c1a4b9ae",
    "is_reasoning_complete": [True, False],
    "generations": ["<think>\nEasy.\n</think>\n\n$\\boxed{2}$", "<think>\nEasy, but"],
    "correctness_math_verify": [True, False],
    "correctness_llama": None,
    "finish_reasons": ["stop", "length"],
    "correctness_count": 1,
    "messages": [{"role": "user", "content": "Compute $1+1$."}, {"role": "assistant", "content": "…"}],
}


def test_openr1_math() -> None:
    found = read(OPENR1_MATH, OPENR1)
    assert (found.prompt.text, found.prompt.reference, found.prompt.verifier) == ("Compute $1+1$.", "2", "math")
    assert found.prompt.metadata["question_type"] == "math-word-problem"
    assert [(one.model, one.finish_reason) for one in found.completions] == [
        ("deepseek-ai/DeepSeek-R1", "stop"),
        ("deepseek-ai/DeepSeek-R1", "length"),
    ]
    assert found.completions[0].text == OPENR1["generations"][0]  # type: ignore[index]
    assert {one.finish_reason for one in read(OPENR1_MATH, {**OPENR1, "finish_reasons": None}).completions} == {"stop"}


@pytest.mark.parametrize("answer", ["proof", "notfound", "", None])
def test_openr1_without_an_answer_has_no_gold(answer: str | None) -> None:
    assert read(OPENR1_MATH, {**OPENR1, "answer": answer}).prompt.reference == ""


def test_what_the_recipe_says_of_all_rows_counts() -> None:
    found = read(OPENR1_MATH, OPENR1, Common("f", "p", verifier="format", domain="algebra", model="me/mine"))
    assert (found.prompt.verifier, found.prompt.domain, found.completions[0].model) == ("format", "algebra", "me/mine")


def test_another_set_is_not_taken_for_openr1() -> None:
    with pytest.raises(InputError, match=r"no column 'problem' \(there are: .*\); is it this layout\?$"):
        read(OPENR1_MATH, ONE)
