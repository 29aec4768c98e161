"""Mathematical equality: what other graders got wrong, what no rule may decide, and labels that others recorded."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.judging import judge
from tracemill.verifiers.math import Math, _compare
from tracemill.verifiers.normal_form import exact_number, normalise

Case = Callable[..., tuple[Prompt, Trace]]
Judged = Callable[..., Verdict]
MATH = Math(seconds=10)  # the machine that runs the tests may be slow; hanging inputs have their own limit


@pytest.fixture(scope="session")
def judged(make_case: Case) -> Judged:
    def verdict(reference: str, answer: str, prompt: str = "", plugin: Math = MATH) -> Verdict:
        return judge(*make_case(f"\\boxed{{{answer}}}", reference, prompt), (plugin,))[0]

    return verdict


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("\\frac{1}{2^{99}}", "\\frac{1}{2^{98}}"),
        ("\\frac{1}{2004!}", "\\frac{1}{2006!}"),
        ("1e-7", "2e-7"),
        ("10^{-7}", "2 \\cdot 10^{-7}"),
        ("1 - \\frac{1}{e}", "1 + \\frac{1}{e}"),
        ("x^2+y^2=1", "x^2+y^2=2"),
        ("x = x", "y = 2y - y"),
        ("1,2,\\ldots,n", "1,3,5,\\ldots"),
        ("(1,2)", "\\{1,2\\}"),
        ("(1,2)", "1,2"),
        ("(5,3)", "(7,2)"),
        ("10\\text{ m}", "10\\text{ cm}"),
        ("12", "12\\text{ or }13"),
        ("3", "3\\text{ or 4}"),
        ("5", "5\\text{ million}"),
        ("12_8", "12_9"),
        ("25", "25√2"),
        ("36", "36√3"),
        ("6", "6 * sqrt(2)"),
        ("x=1,y=2", "2,1"),
        ("R^2", "r^2"),
        ("x", "|x|"),
        ("0.5", "0.5\\%"),
        ("\\sqrt{13}", "\\sqrt 13"),
        ("[0,1]", "(0,1)"),
        ("[-2,7]", "-2 < x \\le 7"),
        ("x>3", "x<3"),
        ("x<y", "y<x"),
        ("2", "2x"),
        ("\\infty", "-\\infty"),
        ("1,1,2", "1,2"),
        ("100,200", "100, 300"),
        ("\\text{even}", "odd"),
    ],
)
def test_what_is_not_equal_is_not_accepted(judged: Judged, reference: str, answer: str) -> None:
    """Most of these were accepted by math-verify 0.9.0 (research notes, its issues 14 and 60, its own test suite)."""
    assert judged(reference, answer).outcome is not Outcome.CORRECT
    assert judged(answer, reference).outcome is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("7", "7."),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "(1,2)"),
        ("[-2,7]", "-2 \\le x \\le 7"),
        ("(3,\\infty)", "x > 3"),
        ("(-\\infty,3)\\cup(5,\\infty)", "x<3 \\text{ or } x>5"),
        ("1,2", "2,1"),
        ("-3,3", "\\pm 3"),
        ("1000", "1,000"),
        ("\\sqrt{8}", "2\\sqrt{2}"),
        ("(x+1)^2", "x^2+2x+1"),
        ("y=2x+3", "2x-y+3=0"),
        ("y=2x+3", "2x+3"),
        ("x=5", "5"),
        ("50\\%", "0.5"),
        ("50", "50\\%"),
        ("\\frac{\\pi}{2}", "90^\\circ"),
        ("26", "26\\text{ dollars}"),
        ("\\$32,348", "32348"),
        ("3+4i", "4i+3"),
        ("\\ln 8", "3\\ln 2"),
        ("\\log_2 8", "3"),
        ("\\frac{7}{2}", "3\\frac{1}{2}"),
        ("1/3", "0.\\overline{3}"),
        ("-221_3", "-221"),
        ("\\text{(C)}", "C"),
        ("\\text{Evelyn}", "evelyn"),
        ("x^{10}", "x^10"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}"),
        ("\\emptyset", "\\{\\}"),
        ("0", "\\sqrt{2}^2-2"),
    ],
)
def test_what_is_equal_is_accepted_both_ways(judged: Judged, reference: str, answer: str) -> None:
    assert judged(reference, answer).outcome is Outcome.CORRECT
    assert judged(answer, reference).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("reference", "answer", "reason"),
    [
        ("\\frac{1}{3}", "0.333", "rounded"),
        ("\\sqrt{2}", "1.414", "rounded"),
        ("6\\pi", "18.85", "rounded"),
        ("2", "120\\text{ minutes}", "unit"),
        ("10\\text{ m}", "10\\text{ s}", "unit"),
        ("\\frac{3}{4}x", "3/4x", "ambiguous_fraction"),
        ("(1,2)", "1,2", "kind"),
        ("100,200", "100, 200", "separator"),
        ("3.5", "3,5", "separator"),
        ("x>3", "y>3", "variable"),
        ("yes", "True", "words"),
        ("\\frac{1", "5", "bad_reference"),
        ("", "5", "no_reference"),
        ("5", "1" * 2001, "too_long"),
        ("5", "1+" * 500 + "1", "too_long"),
    ],
)
def test_what_no_rule_can_decide_is_undecided(judged: Judged, reference: str, answer: str, reason: str) -> None:
    verdict = judged(reference, answer)
    assert (verdict.outcome, verdict.reason, verdict.score) == (Outcome.UNDECIDED, reason, None)


@pytest.mark.parametrize(
    ("reference", "answer", "reason"),
    [
        ("5", "x=3=5", "equation"),
        ("5", "x=2+2=4=5", "equation"),
        ("2024-01-02", "01/02/2024", "date"),
        ("2024-01-02", "2021", "date"),
        ("1/2/2024", "\\frac{1}{4048}", "date"),
        ("3.30", "3:30", "date"),
        ("3:30", "210", "date"),
        ("on", "no", "words"),
        ("AC", "CA", "words"),
        ("AC,BD", "CA,BD", "words"),
        ("10", "10 fewer", "unit"),
        ("10", "10 fewer apples", "unit"),
        ("10", "10 below zero", "unit"),
        ("-10", "10 below zero", "unit"),
        ("10", "10\\text{ too many}", "unit"),
        ("5", "5 tens", "unit"),
    ],
)
def test_text_that_computing_would_misread_is_undecided(
    judged: Judged, reference: str, answer: str, reason: str
) -> None:
    verdict = judged(reference, answer)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, reason)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("5", "x=10/2=5"),
        ("5", "x=y=5"),
        ("2024-01-02", "2024-01-02"),
        ("3:30", "3:30"),
        ("on", "on"),
        ("AC", "AC"),
        ("18", "18 dollars"),
        ("1152", "1152 cups of flour"),
        ("10", "10 people"),
        ("10", "10\\text{ cm}"),
        ("10", "10\\text{ miles per hour}"),
        ("12", "12 square feet"),
    ],
)
def test_steps_dates_and_units_that_fit_are_accepted(judged: Judged, reference: str, answer: str) -> None:
    assert judged(reference, answer).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("\\frac{\\sqrt{3}}{2^{2019}}", "\\frac{\\sqrt{3}}{2^{2018}}"),
        ("1-\\frac{\\sqrt2}{2^{1009}}", "1+\\frac{\\sqrt2}{2^{1009}}"),
        ("2^{-1000}\\sqrt5", "-2^{-1000}\\sqrt5"),
        ("(2-\\sqrt3)^{2020}", "(2-\\sqrt3)^{2019}"),
        ("e^{-500}", "e^{-501}"),
        ("1-e^{-365}", "1"),
        ("e^{-x^2\\cdot 1000}", "0"),
        ("\\sqrt{10^{300}+1}", "10^{150}"),
        ("10\\text{ ms}", "10\\text{ m}"),
        ("5\\text{ MW}", "5\\text{ mW}"),
        ("5\\text{ Vs}", "5\\text{ V}"),
        ("1 in 4", "4 in 1"),
        ("2 of 3", "3 of 2"),
        ("1:2:3", "1:6"),
        ("1:2:3", "1:3:2"),
        ("1:2:3", "1/6"),
        ("2 to 3", "4 to 6"),
        ("7", "7 twelfths"),
        ("5", "5 lakhs"),
        ("3", "3 fives"),
        ("7", "7 percents"),
        ("f(b+c)", "fb+fc"),
        ("x", 'x"'),
        ("\\mathbf{i}^2", "-1"),
        ("\\{\\{1\\},\\{2\\}\\}", "\\{1,2\\}"),
    ],
)
def test_what_a_reviewer_got_accepted_is_not(judged: Judged, reference: str, answer: str) -> None:
    """Irrational numbers below every tolerance, units that differ in case, words between numbers, ratios."""
    assert judged(reference, answer).outcome is not Outcome.CORRECT
    assert judged(answer, reference).outcome is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("2^{-500}", "(1/\\sqrt2)^{1000}"),
        ("\\sqrt[3]{-8}", "-2"),
        ("\\sqrt[3]{-54}", "-3\\sqrt[3]{2}"),
        ("-\\sqrt[3]{5}", "\\sqrt[3]{-5}"),
        ("1-\\sqrt[3]{2}", "1+\\sqrt[3]{-2}"),
        ("5^\\circ\\text{C}", "5"),
        ("5°C", "5"),
        ("1:2:3", "2:4:6"),
        ("500000", "5 lakhs"),
        ("y=2x", "x=y/2"),
        ("a=b", "b=a"),
        ("3\\times10^8", "3x10^8"),
        ("6.02\\times10^{23}", "6.02 x 10^{23}"),
        ("FF_{16}", "255_{10}"),
        ("\\{(1,2)\\}", "(1,2)"),
        ("x_{10}", "x_10"),
        ("1000000", "10⁶"),
        ("0.001", "10⁻³"),
        ("0.5", "½"),
        ("1.5", "1½"),
        ("90", "90º"),
        ("12", "12\u200b"),
        ("(1,2)", "（1，2）"),
        ("x^2", "x²"),
    ],
)
def test_what_a_reviewer_got_refused_is_accepted(judged: Judged, reference: str, answer: str) -> None:
    assert judged(reference, answer).outcome is Outcome.CORRECT
    assert judged(answer, reference).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("(-27)^{1/3}", "-3"), ("(-8)^{2/3}", "4"), ("5", "300 s"), ("5^\\circ\\text{F}", "5^\\circ"), ("1 in 4", "\\frac14"),
        ("4 by 5", "4\\times 5"), ("15", "3 fives"), ("\\frac{7}{11}", "7 elevenths"), ("gray", "grey"), ("trapezoid", "trapezium"),
        ("zero", "none"), ("half", "one-half"), ("increasing", "increases"), ("false", "incorrect"), ("5!!", "15"), ("12:30 AM", "12:30"),
        ("AB_{12}", "AB"),
    ],
)  # fmt: skip
def test_what_may_be_right_is_never_wrong(judged: Judged, reference: str, answer: str) -> None:
    assert judged(reference, answer).outcome is not Outcome.WRONG
    assert judged(answer, reference).outcome is not Outcome.WRONG


@pytest.mark.parametrize(
    ("question", "reference", "answer", "outcome"),
    [
        ("Who won, Anna or Boris?", "Anna", "Boris", Outcome.WRONG),
        ("Who won?", "Anna", "Boris", Outcome.UNDECIDED),
        ("How many apples are left?", "7", "7 apples", Outcome.CORRECT),
        ("How many apples are left?", "7", "7 baskets", Outcome.UNDECIDED),
        ("How many apples are left?", "8", "7 apples", Outcome.WRONG),
        ("List them from smallest to largest.", "1,2,3", "3,2,1", Outcome.UNDECIDED),
        ("Rank them from greatest to least.", "A,B,C", "C,B,A", Outcome.UNDECIDED),
        ("Enter x then y.", "-1,4", "4,-1", Outcome.UNDECIDED),
        ("In order to win, which numbers are needed?", "1,2,3", "3,2,1", Outcome.CORRECT),
    ],
)
def test_the_question_decides_what_the_answers_cannot(
    judged: Judged, question: str, reference: str, answer: str, outcome: Outcome
) -> None:
    assert judged(reference, answer, question).outcome is outcome


@pytest.mark.parametrize("reference", ["5", "120"])
def test_an_exclamation_mark_in_prose_is_not_read(make_case: Case, reference: str) -> None:
    for text in ("The answer is 5!", "5!", "<answer>The answer is 5!</answer>"):
        verdict = judge(*make_case(text, reference), (MATH,))[0]
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "exclamation")
    boxed = judge(*make_case("\\boxed{5!}", reference), (MATH,))[0]
    assert (boxed.outcome is Outcome.CORRECT) == (reference == "120")


@pytest.mark.parametrize("answer", ["two apples", "Cannot be determined", "___", "5 + ", "\\frac{}{}", "1 2 3"])
def test_what_is_no_mathematics_is_unparsed(judged: Judged, answer: str) -> None:
    verdict = judged("5", answer)
    assert verdict.outcome is Outcome.UNPARSED
    assert verdict.reason.startswith("not_math")


@pytest.mark.parametrize("answer", ["9^{9^{9^9}}", "(10^9)!", "\\binom{10^8}{5000000}"])
def test_what_would_hang_is_refused_or_stopped(judged: Judged, answer: str) -> None:
    """The quick parser sees that it is too large; math-verify's, which reads logarithms to no base, has to be killed."""
    for text, reason in ((answer, "too_large"), (f"\\log({answer})", "time_limit")):
        verdict = judged("5", text, plugin=Math(seconds=0.3))
        assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, reason)
        hits = _compare.cache_info().hits
        assert judged("5", text, plugin=Math(seconds=0.3)).reason == reason
        assert _compare.cache_info().hits == hits + 1  # what hung once is remembered


def test_an_equation_of_constants_that_holds_is_its_last_side(judged: Judged) -> None:
    assert judged("256", "4*4*4*4=256").outcome is Outcome.CORRECT
    assert judged("7", "3*3=9").outcome is Outcome.WRONG
    assert judged("9", "3*3=8").outcome is Outcome.UNDECIDED


def test_order_matters_where_the_question_asks_for_one(judged: Judged) -> None:
    assert judged("1,2,3", "3,2,1", "Find all roots.").outcome is Outcome.CORRECT
    assert judged("1,2,3", "3,2,1", "List them in ascending order.").reason == "order"
    assert judged("1,2,3", "1,2,3", "List them in ascending order.").outcome is Outcome.CORRECT


NUMBERS = st.integers(-(10**6), 10**6) | st.fractions(max_denominator=1000) | st.decimals(-1000, 1000, places=3)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_integers_are_judged_exactly(judged: Judged, first: int, second: int) -> None:
    expected = Outcome.CORRECT if first == second else Outcome.WRONG
    assert judged(str(first), str(second)).outcome is expected
    assert judged(str(first), str(first)).outcome is Outcome.CORRECT


@given(NUMBERS, NUMBERS)
def test_number_verdicts_are_symmetric(judged: Judged, first: object, second: object) -> None:
    assert judged(str(first), str(second)).outcome is judged(str(second), str(first)).outcome
    if Fraction(str(first)) != Fraction(str(second)):
        assert judged(str(first), str(second)).outcome is not Outcome.CORRECT


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_is_the_same_however_it_is_written(judged: Judged, value: Fraction) -> None:
    sign, above, below = "-" * (value < 0), abs(value.numerator), value.denominator
    for text in (
        f"{sign}\\frac{{{above}}}{{{below}}}", f"\\frac{{{sign}{above}}}{{{below}}}", f"${sign}\\dfrac{{{above}}}{{{below}}}$",
        f"{sign}{above} / {below}", f"\\({sign}{above}/{below}\\)", f"\\left. {sign}{above}/{below} \\right.",
    ):  # fmt: skip
        assert judged(str(value), text).outcome is Outcome.CORRECT, text


@given(st.integers(0, 10**9), st.sampled_from(["{}", "${}$", " {} ", "{}.", "{}.0", "+{}", "\\text{{{}}}", "\\({}\\)"]))
def test_an_integer_is_the_same_however_it_is_set(judged: Judged, value: int, form: str) -> None:
    for digits in (str(value), f"{value:,}"):
        assert judged(str(value), form.format(digits)).outcome is Outcome.CORRECT


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.sampled_from(["", "x", "x^2", "\\sqrt{2}", "y"])), min_size=1, max_size=4)
)
def test_every_expression_equals_itself_in_another_order(judged: Judged, terms: list[tuple[int, str]]) -> None:
    there = "+".join(f"({factor}){name}" for factor, name in terms)
    back = "+".join(f"{name} \\cdot ({factor})" if name else f"({factor})" for factor, name in reversed(terms))
    assert judged(there, there).outcome is Outcome.CORRECT
    assert judged(there, back).outcome is Outcome.CORRECT
    assert judged(there, back + "+1").outcome is Outcome.WRONG


@given(st.text(st.sampled_from("0123456789.,-+/\\frac{}sqrt()$% xy^_ ")))
def test_normalising_never_raises_and_is_stable(text: str) -> None:
    once = normalise(text)
    number = exact_number(once)
    if number is not None:
        assert exact_number(normalise(once)) == number


def test_agreement_with_the_labels_of_gsm8k_solutions(real_data: Path, make_case: Case) -> None:
    """2,638 solutions by two models with OpenAI's own labels: every one that is decided is decided alike."""
    undecided = []
    with gzip.open(real_data / "labelled" / "gsm8k_solutions.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            answer = re.sub(r"\nA: ?(?=[^\n]*$)", "\n#### ", row["solution"])  # the models' own mark, as GSM8K's
            verdict = judge(*make_case(answer, row["gold"]), (MATH,))[0]
            if verdict.outcome is Outcome.UNDECIDED:
                undecided.append(verdict.extracted)
            else:
                assert (verdict.outcome is Outcome.CORRECT) == row["is_correct"], (row["prompt_id"], verdict)
    assert undecided == ["10+John's age"]
