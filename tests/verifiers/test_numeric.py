"""Numbers are read exactly, tolerances hold to their ends, and what is no plain number is not guessed."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome
from tracemill.verifiers.quantity import read

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED


def _judge(answer: str, reference: str, question: str = "") -> tuple[Outcome, str]:
    verdict = tracemill.verify("numeric", answer, reference, question)
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"), ("042", "42"), ("42.", "42"), (".5", "1/2"), ("-5", "-5"), ("−5", "-5"), ("–5", "-5"), ("+5", "5"),
        ("- 5", "-5"), ("1,234.5", "2469/2"), ("1,234,567", "1234567"), ("1.234.567", "1234567"), ("1.234,5", "2469/2"),
        ("1 234", "1234"), ("1\u202f234,5", "2469/2"), ("1'234", "1234"), ("1_000", "1000"), ("1{,}234", "1234"),
        ("1\\,234", "1234"), ("3,5", "7/2"), ("1e3", "1000"), ("1.5E-3", "3/2000"), ("1.5 × 10^3", "1500"),
        ("1.5 \\times 10^{3}", "1500"), ("1.5·10³", "1500"), ("2*10^-2", "1/50"), ("3/4", "3/4"), ("-3/4", "-3/4"),
        ("1 1/2", "3/2"), ("\\frac{3}{4}", "3/4"), ("-\\dfrac{3}{4}", "-3/4"), ("1\\frac{1}{2}", "3/2"), ("$5", "5"),
        ("-$5", "-5"), ("$-5", "-5"), ("$42$", "42"), ("x = 7", "7"), ("≈ 3.14", "157/50"), ("about 12", "12"),
        ("٣٫١٤", "157/50"), ("४२", "42"), ("４２", "42"), ("**42**", "42"), ("\\text{42}", "42"), ("5 million", "5000000"),
        ("2.5 dozen eggs", "30"), ("0,125", "1/8"),
    ],
)  # fmt: skip
def test_a_number_is_read_exactly(text: str, value: str) -> None:
    assert read(text)[0].value == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "", "five", "5!", "5-6", "5 10", "5+6", "12:30", "2024-05-01", "1/2/2024", "1/0", "1e9999", "1e99999999999", "0x10",
        "+-5", "--5", "5 = 6", "(5)", "5^2", "\\sqrt{2}", "5 ft 3 in", "1,23,456", "9" * 2000, "5 \\pm 1", "<5", "€5 $",
    ],
)  # fmt: skip
def test_what_is_more_than_a_number_is_not_read(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("3.13", "3.14 ± 0.01"), ("3.15", "3.14 ± 0.01"), ("3.15", "3.14 +/- 0.01"), ("3.15", "3.14 \\pm 0.01"),
        ("3.1714", "3.14 (1%)"), ("3.1086", "3.14 (± 1 %)"), ("105", "100 ± 5%"), ("51%", "50% ± 1%"), ("0.51", "50% ± 1%"),
        ("10.2 m", "10 ± 0.2 m"), ("1020 cm", "10 m ± 0.2 m"), ("3.15", '{"value": 3.14, "abs": 0.01}'),
        ("-3.1714", '{"value": -3.14, "rel": 0.01}'), ("5.05", '{"value": 5, "abs": 0.01, "rel": 0.01}'),
        ("1000", '{"value": "1,000"}'), ("10 m", '{"value": 10, "unit": "m"}'), ("1000", "1e3"), ("0.5", "1/2"),
        ("50%", "0.5"), ("0.5", "50%"), ("50 percent", "50%"), ("50\\%", "50%"), ("18", "18 dollars"), ("$18", "18"),
        ("18 apples", "18"), ("5 kg", "5000 g"), ("5 m/s", "18 km/h"), ("5 m²", "5 m^2"), ("Apples: the answer is 5.", "5"),
        ("The answer is \\boxed{42}.", "42"), ("#### 42", "42"), ("42.000", "42"), ("$1,234.56", "1234.56 dollars"),
    ],
)  # fmt: skip
def test_within_the_tolerance(answer: str, reference: str) -> None:
    assert _judge(answer, reference)[0] is R


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("3.1500001", "3.14 ± 0.01"), ("3.1714001", "3.14 (1%)"), ("52%", "50% ± 1%"), ("0.3333", "1/3"), ("41", "42"),
        ("0.30000000000000004", "0.3"), ("9007199254740993", "9007199254740992"), ("-5", "5"), ("19 dollars", "18"),
        ("5 kg", "5001 g"), ("inf", "5"), ("nan", "5"), ("NaN", "0"), ("\\infty", "5 ± 1e300"), ("-∞", "-5"), ("60%", "0.5"),
    ],
)  # fmt: skip
def test_beyond_the_tolerance(answer: str, reference: str) -> None:
    assert _judge(answer, reference)[0] is W


@pytest.mark.parametrize(
    ("answer", "reference", "outcome", "reason"),
    [
        ("1,234", "1.234", U, "separator"),
        ("1.234", "1234", U, "separator"),
        ("50", "50%", U, "percent"),
        ("0.5%", "0.5", U, "percent"),
        ("5 m", "50%", U, "unit"),
        ("5 MW", "5 mW", U, "unit"),
        ("5 apples", "5 oranges", U, "unit"),
        ("5 zorb", "5", U, "unit"),
        ("42 fewer", "42", U, "unit"),
        ("2 hundred", "200", U, "unit"),
        ("2 km", "2000", U, "unit"),
        ("2 hours", "120", U, "unit"),
        ("37", "37 °C", U, "unit"),
        ("5 K", "5000", U, "unit"),
        ("7", "7 twelfths", U, "unit"),
        ("7", "7 halves", U, "unit"),
        ("3 fives", "3", U, "unit"),
        ("3 fives", "15", U, "unit"),
        ("7", "7 lakhs", W, "different"),
        ("7 lakhs", "700000", R, "equal"),
        ("5 Kg", "5000 g", R, "converted"),
        ("5 ms", "5 m", U, "unit"),
        ("5!", "5", U, "not_a_number"),
        ("seventeen", "17", U, "not_a_number"),
        ("\\sqrt{4}", "2", U, "not_a_number"),
        ("5 - 6", "5", U, "not_a_number"),
        ("1e999999999", "5", U, "not_a_number"),
        ("\u202e12", "21", U, "not_a_number"),
        ("5 ± 100", "5 ± 1", U, "uncertainty"),
        ("no idea", "5", N, "no_number"),
        ("", "5", N, "no_answer"),
        ("5 or 6", "5", N, "several_answers"),
        ("The answer is 5. Wait, it is 6.", "5", N, "several_answers"),
        ("The answer is 12. Wait, 13.", "12", N, "several_answers"),
        ("#### 5\nActually, six.", "5", U, "second_thought"),
        ("The answer is 5.\n\nNote that 6 is larger.", "5", R, "equal"),
        ("\\boxed{5} \\boxed{6}", "5", N, "several_answers"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(answer: str, reference: str, outcome: Outcome, reason: str) -> None:
    assert _judge(answer, reference) == (outcome, reason)


@pytest.mark.parametrize(
    ("answer", "reference", "question", "outcome"),
    [
        ("7 apples", "7", "How many apples are left?", R),
        ("7", "7 apples", "How many apples are left?", R),
        ("7 pears", "7", "How many apples are left?", U),
        ("7", "7 pears", "How many apples are left?", U),
        ("5 m", "5", "How many feet is it?", U),
        ("5 feet", "5", "How many feet is it?", R),
    ],
)
def test_what_was_counted_stands_in_the_question(answer: str, reference: str, question: str, outcome: Outcome) -> None:
    assert _judge(answer, reference, question)[0] is outcome


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ("five", "not a number"),
        ("nan", "not a finite number"),
        ("-inf", "not a finite number"),
        ("5 ± inf", "not a finite number"),
        ("5 ± -1", "a negative tolerance"),
        ("5 m ± 1 s", "the tolerance has another unit"),
        ("5 ±", "not a number"),
        ("1/0", "not a number"),
        ("{", "not JSON"),
        ("{}", '"value"'),
        ('{"value": 5, "tol": 1}', '"value"'),
        ('{"value": NaN}', "not a finite number"),
        ('{"value": true}', "not a number"),
        ('{"value": null}', "not a number"),
        ('{"value": 5, "abs": -1}', "a negative tolerance"),
        ('{"value": 1e99999}', "not a number"),
        ("9" * 2000, "not a number"),
    ],
)
@pytest.mark.parametrize("answer", ["5", "", "no idea"])
def test_a_bad_reference_is_found_whatever_the_answer_says(reference: str, detail: str, answer: str) -> None:
    outcome, reason = _judge(answer, reference)
    assert outcome is U
    assert reason.startswith("bad_reference: ")
    assert detail in reason


NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=3)


@given(NUMBERS)
def test_every_writing_of_a_number_is_that_number(number: Decimal) -> None:
    for text in (
        f"{number}",
        f"{number:,}",
        f"{number:e}",
        f"\\boxed{{{number}}}",
        f"The answer is {number}.",
        f"{number} apples",
    ):
        assert _judge(text, str(number)) == (R, "equal")
    assert _judge(str(number), json.dumps({"value": str(number)})) == (R, "equal")


@given(NUMBERS, st.decimals(0, 1000, places=2), st.integers(-2000, 2000))
def test_a_tolerance_is_exact(number: Decimal, tolerance: Decimal, thousandths: int) -> None:
    answer = number + Decimal(thousandths) / 1000
    outcome, _ = _judge(f"\\boxed{{{answer}}}", f"{number} ± {tolerance}")
    near = abs(Fraction(answer) - Fraction(number)) <= Fraction(tolerance)
    assert (outcome is R) if near else outcome is not R


@given(NUMBERS, NUMBERS)
def test_exact_equality_is_symmetric(one: Decimal, two: Decimal) -> None:
    assert _judge(f"\\boxed{{{one}}}", str(two))[0] is _judge(f"\\boxed{{{two}}}", str(one))[0]
