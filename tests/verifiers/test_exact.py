"""What counts as the same text, in any script, and what is near enough that nothing is said."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome, Prompt, Trace
from tracemill.verifiers.exact import LONGEST, Exact
from tracemill.verifiers.judging import judge
from tracemill.verifiers.normal_text import fold, holds, near, unwrapped

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
LETTERS = st.text(st.characters(categories=("Lu", "Ll", "Lo", "Nd")), min_size=1, max_size=20)


def _judge(answer: str, reference: str) -> tuple[Outcome, str]:
    verdict = tracemill.verify("exact", answer, reference)
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("Paris", "Paris"), ("paris", "PARIS"), ("  Paris \n", "Paris"), ("Paris.", "Paris"), ('"Paris"', "Paris"),
        ("“Paris”", "Paris"), ("«Paris»", "Paris"), ("「東京」", "東京"), ("**Paris**", "Paris"), ("`x`", "x"),
        ("\\text{Paris}", "Paris"), ("$\\text{Paris}$", "Paris"), ("\\boxed{\\mathrm{Paris}}", "Paris"),
        ("The answer is Paris.", "Paris"), ("#### Paris", "Paris"), ("Final answer: New   York", "new york"),
        ("<answer>Paris</answer>", "Paris"), ("STRAẞE", "straße"), ("ΟΔΟΣ", "οδος"), ("ＡＢＣ１", "abc1"), ("ﬁn", "fin"), ("東京。", "東京"),
        ("e\u0301t\u00e9", "\u00e9te\u0301"), ("مرحبا", "مرحبا"), ("नमस्ते।", "नमस्ते"), ("a\u00a0b", "a b"), ("x²", "X²"),
        ("line one\nline two", "line one\nline two"), ("yes or no", "Yes or no"), ("B", '["A", "B"]'), ("-5", "-5"), ("-5", "−5"), ("−5", "-5"),
        ("***Paris***", "Paris"), ("‘Paris’", "Paris"), ("»Paris«", "Paris"), ("„Paris“", "Paris"), ("**", "**"),
        ("3.14", "3.14"), ("O'Neill", "O'Neill"), ("[1, 2]", "[1, 2]"), ("Dr. Who", "Dr. Who"),
    ],
)  # fmt: skip
def test_the_same_text(answer: str, reference: str) -> None:
    assert _judge(answer, reference) == (R, "equal")


@pytest.mark.parametrize(
    ("answer", "reference", "outcome", "reason"),
    [
        ("London", "Paris", W, "different"),
        ("\\boxed{Paris, France}", "Paris", W, "different"),
        ("5", "-5", W, "different"),
        ("5.0", "5", W, "different"),
        ("1,000", "1000", W, "different"),
        ("2⁵", "25", W, "different"),
        ("½", "1/2", U, "spelling"),
        ("2½", "2 1/2", U, "spelling"),
        ("2½", "21/2", W, "different"),
        ("x₁", "x1", U, "spelling"),
        ("H2O", "H₂O", U, "spelling"),
        ("$H_{2}O$", "H₂O", U, "spelling"),
        ("x²", "x^2", U, "spelling"),
        ("10^{-3}", "10⁻³", U, "spelling"),
        ("2^5", "2⁵", U, "spelling"),
        ("5'", '5"', W, "different"),
        ("f'", "f", U, "spelling"),
        ("*args", "args", U, "spelling"),
        ("C*", "C", U, "spelling"),
        ("**", "*", U, "in_prose"),
        ("__init__", "init", U, "spelling"),
        ("_x1_", "x1", U, "spelling"),
        ("a_", "a", U, "spelling"),
        ("Maße", "Masse", U, "spelling"),
        ("Straße", "STRASSE", U, "spelling"),
        ("1–5", "1-5", U, "spelling"),
        ('"a" and "b"', 'a" and "b', U, "spelling"),
        ("50", "50%", W, "different"),
        ("C", "C++", W, "different"),
        ("A", "B", W, "different"),
        ("東京都", "京都", U, "in_prose"),  # without spaces a part may be a word
        ("Beyonce", "Beyoncé", U, "spelling"),
        ("naive", "naïve", U, "spelling"),
        ("the Eiffel Tower", "Eiffel Tower", U, "spelling"),
        ("email", "e-mail", U, "spelling"),
        ("dont", "don't", U, "spelling"),
        ("USA", "U.S.A.", U, "spelling"),
        ("5!", "5", U, "spelling"),
        ("pay\u200bpal", "paypal", U, "spelling"),
        ("\u202e12", "12", U, "spelling"),
        ("It is Paris", "Paris", U, "in_prose"),
        ("The answer is not Paris", "Paris", U, "in_prose"),
        ("The answer is Dr. Smith", "Dr. Smith", U, "in_prose"),
        ("The answer is C*.", "C", U, "spelling"),
        ("The answer is __init__.", "init", U, "spelling"),
        ("The answer is *args.", "args", U, "spelling"),
        ("**Final answer: Paris**", "Paris", R, "equal"),
        ("The answer is Paris. No wait, London", "Paris", N, "several_answers"),
        ("The answer is Paris. Actually, London.", "Paris", U, "second_thought"),
        ("\\boxed{Paris} Sorry, it is London", "Paris", U, "second_thought"),
        ("The answer is Paris. Actually, it is not Paris.", "Paris", U, "second_thought"),
        ("The answer is Paris. Actually, yes, Paris.", "Paris", R, "equal"),
        ("The answer is Paris. It is in France.", "Paris", R, "equal"),
        ("Comparison", "Paris", W, "different"),
        ("", "Paris", N, "no_answer"),
        ("\\boxed{}", "Paris", N, "empty_box"),
        ("\\boxed{Paris} \\boxed{London}", "Paris", N, "several_answers"),
        ("<answer>Paris</answer> no, London", "Paris", N, "several_answers"),
        ("It may be Paris\nor it may not", "Paris", N, "no_answer"),
        ("...", "Paris", N, "no_answer"),
        ("Paris", "", U, "no_reference: empty"),
        ("Paris", "''", U, "bad_reference: empty"),
        ("Paris", '["Paris", ""]', U, "bad_reference: empty"),
        ("", '["Paris", 5]', U, "bad_reference: a list of accepted answers must hold texts only"),
        ("", "x" * (LONGEST + 1), U, "bad_reference: too long"),
        ("x" * (LONGEST + 1), "x", N, "no_answer"),
        ("<answer>" + "x" * (LONGEST + 1) + "</answer>", "x", N, "no_answer"),
        ("\\boxed{" + "x" * (LONGEST + 1) + "}", "x", U, "too_long"),
    ],
)
def test_what_is_not_the_same(answer: str, reference: str, outcome: Outcome, reason: str) -> None:
    assert _judge(answer, reference) == (outcome, reason)


def test_case_counts_where_it_is_asked_to(make_case: Callable[..., tuple[Prompt, Trace]]) -> None:
    def judged(answer: str) -> tuple[Outcome, str]:
        (verdict,) = judge(*make_case(answer, "Polish"), (Exact(case=True),))
        return verdict.outcome, verdict.reason

    assert judged("polish") == (W, "case")
    assert judged("The answer is Polish.") == (R, "equal")
    assert judged("\\boxed{German}") == (W, "different")


@given(st.text(min_size=1, max_size=40))
def test_every_reference_accepts_itself(text: str) -> None:
    outcome, reason = _judge(text, text)
    if outcome is not R:
        assert outcome is U or "answer>" in text or "think>" in text, (text, outcome, reason)
        assert reason.startswith(("bad_reference", "no_reference")) or "answer>" in text or "think>" in text


@given(
    LETTERS,
    st.sampled_from(
        ["{}", " {}\n", "{}.", '"{}"', "“{}”", "**{}**", "\\text{{{}}}", "\\boxed{{{}}}", "The answer is {}."]
    ),
)
def test_formatting_does_not_matter(text: str, form: str) -> None:
    assume(text.casefold() != "or")
    assert _judge(form.format(text), text) == (R, "equal")
    assert _judge(form.format(unicodedata.normalize("NFD", text)), text) == (R, "equal")
    assert _judge(form.format(text), json.dumps(["zzz", text])) == (R, "equal")


@given(LETTERS, LETTERS)
def test_the_comparison_is_symmetric(one: str, two: str) -> None:
    here, there = _judge(f"\\boxed{{{one}}}", two)[0], _judge(f"\\boxed{{{two}}}", one)[0]
    assert here is there


@given(st.text(max_size=60))
def test_the_normal_forms_are_fixed_points(text: str) -> None:
    assert unwrapped(unwrapped(text)) == unwrapped(text)
    assert fold(fold(text)) == fold(text)
    if fold(text):
        assert near(fold(text)) == near(text)


def test_a_part_stands_in_a_text_as_words() -> None:
    assert holds("It is Paris, I think", "paris")
    assert holds("答案是东京吧", "东京")
    assert not holds("Comparison", "Paris")
    assert not holds("-5", "5")
    assert not holds("5.0", "5")
    assert not holds("anything", "")
