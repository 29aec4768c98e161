"""OpenThoughts' rows in both configurations, and references that its worked solutions hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tracemill
from tracemill.core.errors import InputError
from tracemill.core.types import Outcome
from tracemill.factory.layouts import Common, Recorded, Row
from tracemill.factory.openthoughts import OpenThoughts, boxed_answer

TAGGED = (
    "<|begin_of_thought|>\n\nOkay, one and one.\n\n<|end_of_thought|>\n\n"
    "<|begin_of_solution|>\n\nIt is \\boxed{2}.\n\n<|end_of_solution|>"
)
METADATA = {
    "problem": "What is $1+1$?",
    "deepseek_reasoning": "Okay, one and one.",
    "deepseek_solution": "It is \\boxed{2}.",
    "ground_truth_solution": "Adding gives $1+1=2$, so the answer is $\\boxed{2}$.",
    "domain": "math",
    "source": "numina_math",
    "test_cases": None,
    "starter_code": None,
}


def read(row: dict[str, Any]) -> Row:
    return OpenThoughts().row(row, "folder row 3", Common("folder", "prompts[0]"))


def conversation(answer: Any, **more: Any) -> dict[str, Any]:
    turns = [{"from": "user", "value": "What is $1+1$?"}, {"from": "assistant", "value": answer}]
    return {"system": "Your role as an assistant …", "conversations": turns, **more}


def test_tags_become_reasoning_and_answer() -> None:
    found = read(conversation(TAGGED))
    assert found.completions == (Recorded("It is \\boxed{2}.", "Okay, one and one."),)
    assert (found.prompt.text, found.prompt.verifier, found.prompt.reference) == ("What is $1+1$?", "format", "")


@pytest.mark.parametrize(
    "text", ["<think>\nOkay.\n</think>\n2", TAGGED.replace("<|end_of_thought|>", ""), TAGGED + "?"]
)
def test_a_text_without_the_tags_in_order_stays_as_it_is(text: str) -> None:
    assert read(conversation(text)).completions == (Recorded(text),)


def test_conversations_of_other_names_are_read_and_longer_ones_passed_over() -> None:
    turns = [{"role": "system", "content": "Hi"}, {"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]
    assert read({"conversations": turns}).completions == (Recorded("!"),)
    longer = read({"conversations": [*turns, {"from": "human", "value": "Why?"}]})
    assert (longer.completions, longer.passed_over) == ((), ("not one question and one answer",))
    assert read(conversation(None)).passed_over == ("completion is null",)


@pytest.mark.parametrize("turns", ["text", [], [{"from": "gpt", "value": "!"}], [{"from": "user", "value": " "}], [3]])
def test_what_is_no_conversation_is_refused_with_its_place(turns: Any) -> None:
    with pytest.raises(InputError, match="folder row 3: column 'conversations' must"):
        read({"conversations": turns})


def test_mathematics_is_judged_by_the_box_of_the_worked_solution() -> None:
    found = read(METADATA)
    assert (found.prompt.verifier, found.prompt.reference, found.prompt.domain) == ("math", "2", "math")
    assert found.completions == (Recorded("It is \\boxed{2}.", "Okay, one and one.", "deepseek-ai/DeepSeek-R1"),)
    assert tracemill.verify("math", found.completions[0].text, found.prompt.reference).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("so $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("\\boxed{2} and again \\boxed{2}", "2"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("(a) \\boxed{2} (b) \\boxed{3}", ""),
        ("no box", ""),
        ("cut \\boxed{2", ""),
        ("", ""),
    ],
)
def test_a_solution_is_its_box_where_there_is_one(solution: str, answer: str) -> None:
    assert boxed_answer(solution) == answer


def test_a_solution_with_two_answers_is_no_reference_that_a_wrong_label_could_come_from() -> None:
    found = read({**METADATA, "ground_truth_solution": "(a) \\boxed{2} (b) \\boxed{3}"})
    for answer in ("\\boxed{2}", "\\boxed{3}", "\\boxed{4}"):
        assert tracemill.verify("math", answer, found.prompt.reference).outcome is Outcome.UNDECIDED


def test_science_without_ground_truth_stays_without() -> None:
    found = read({**METADATA, "domain": "biology", "ground_truth_solution": None})
    assert (found.prompt.domain, found.prompt.reference) == ("biology", "")
    assert tracemill.verify("math", "\\boxed{2}", found.prompt.reference).reason.startswith("no_reference")


def test_puzzles_are_judged_by_their_letter() -> None:
    problem = "What has keys but no locks?\nA: a door\nB: a piano\nC: a car"
    found = read({**METADATA, "domain": "puzzle", "problem": problem, "ground_truth_solution": "B"})
    prompt = found.prompt
    assert (prompt.verifier, prompt.reference) == ("choice", "B")
    assert tracemill.verify("choice", "The answer is **B: a piano**.", "B", prompt.text).outcome is Outcome.CORRECT


PROGRAM = "```python\nclass Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b\n```"


def test_code_is_judged_by_its_tests_and_the_question_holds_the_code_that_it_starts_with() -> None:
    tests = json.dumps({"fn_name": "add", "inputs": [[1, 2], [5, 5]], "outputs": [3, 10]})
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        "
    found = read({**METADATA, "domain": "code", "test_cases": tests, "starter_code": starter})
    prompt = found.prompt
    assert (prompt.verifier, prompt.reference, prompt.domain) == ("code", tests, "code")
    assert prompt.text == f"What is $1+1$?\n{starter}"
    for program, outcome in ((PROGRAM, Outcome.CORRECT), (PROGRAM.replace("a + b", "a - b"), Outcome.WRONG)):
        verdict = tracemill.verify("code", program, prompt.reference, prompt.text, prompt.metadata)
        assert verdict.outcome is outcome, verdict


def test_a_row_of_neither_configuration_and_an_empty_question_are_refused() -> None:
    with pytest.raises(InputError, match="folder row 3: column 'problem' is empty"):
        read({**METADATA, "domain": "code", "problem": "", "test_cases": "{}", "starter_code": "def f():"})
    with pytest.raises(InputError, match=r"folder row 3: no column 'domain' \(there are: a\); is it this layout\?"):
        read({"a": 1})
