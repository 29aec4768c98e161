"""The policy of docs/reference/math.md, row by row, and in both directions where its tables compare two answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tracemill.core.types import Outcome, Prompt, Trace
from tracemill.verifiers.judging import judge
from tracemill.verifiers.math import Math

Case = Callable[..., tuple[Prompt, Trace]]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "math.md"
ROW = re.compile(r"\| `(.+?)` \| `(.+?)` \| (\w+) \|")
MATH = Math(seconds=10)


def rows(is_text: bool) -> Iterator[tuple[str, str, Outcome]]:
    """The rows of the tables whose first column is a text, or of all others, whose first column is a reference."""
    in_texts = False
    for line in PAGE.read_text().splitlines():
        if line.startswith("| text |") or line.startswith("| reference |"):
            in_texts = line.startswith("| text |")
        elif (match := ROW.fullmatch(line)) and in_texts == is_text:
            yield match[1], match[2], Outcome(match[3])


@pytest.mark.parametrize(("text", "reference", "outcome"), list(rows(is_text=True)))
def test_where_the_answer_is_found(make_case: Case, text: str, reference: str, outcome: Outcome) -> None:
    (verdict,) = judge(*make_case(text, reference), (MATH,))
    assert verdict.outcome is outcome, verdict.reason


@pytest.mark.parametrize(("reference", "answer", "outcome"), list(rows(is_text=False)))
def test_what_counts_as_equal(make_case: Case, reference: str, answer: str, outcome: Outcome) -> None:
    for gold, given in ((reference, answer), (answer, reference)):
        (verdict,) = judge(*make_case(f"\\boxed{{{given}}}", gold), (MATH,))
        if gold is reference or not verdict.reason.startswith(("bad_reference", "unclosed_box", "not_math")):
            assert verdict.outcome is outcome, (gold, given, verdict.reason)


def test_every_table_is_read() -> None:
    assert len(list(rows(is_text=True))) == 11
    assert len(list(rows(is_text=False))) > 100


@pytest.mark.parametrize(
    ("question", "answer", "outcome"),
    [
        ("How many meters is it?", "10 cm", Outcome.UNDECIDED),
        ("It is 3 m wide. How high is it?", "10 cm", Outcome.UNDECIDED),
        ("How many cm is it, if 3 m are 300 cm?", "10 cm", Outcome.CORRECT),
        ("How high is it?", "10 cm", Outcome.CORRECT),
        ("What is the area in square feet?", "10 square feet", Outcome.CORRECT),
        ("What is the area in square feet?", "10 square inches", Outcome.UNDECIDED),
        ("It costs $3. How much is left?", "10 euros", Outcome.UNDECIDED),
        ("It costs $3. How much is left?", "\\$10", Outcome.CORRECT),
        ("It costs $3. How much is left?", "10 cents", Outcome.UNDECIDED),
    ],
)
def test_a_unit_that_the_question_did_not_ask_for(
    make_case: Case, question: str, answer: str, outcome: Outcome
) -> None:
    (verdict,) = judge(*make_case(f"\\boxed{{{answer}}}", "10", question), (MATH,))
    assert verdict.outcome is outcome, verdict.reason
