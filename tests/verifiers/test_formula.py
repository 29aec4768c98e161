"""The quick parser against math-verify's: what both can read has one value, and what has two readings is left alone."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.expressions import places, same_at, same_value
from tracemill.verifiers.formula import LARGEST_BITS, PRECISIONS, agree, read_formula
from tracemill.verifiers.grammar import Outside
from tracemill.verifiers.latex import read_latex
from tracemill.verifiers.normal_form import normalise
from tracemill.verifiers.verdicts import Undecidable

Pair = tuple[str, str]
"""The same formula in two styles."""

ATOMS: st.SearchStrategy[Pair] = st.one_of(
    st.integers(0, 30).map(lambda n: (str(n), f"{{{n}}}")),
    st.sampled_from(
        [
            ("x", "{x}"),
            ("\\pi", "{\\pi }"),
            ("y", "y"),
            ("\\sqrt{2}", "\\sqrt{ 2 }"),
            ("0.5", "\\frac{1}{2}"),
            ("\\sqrt[3]{-8}", "(-2)"),
            ("2^{-900}", "\\frac{1}{2^{900}}"),
            ("\\sqrt[3]{-5}", "(-\\sqrt[3]{5})"),
        ]
    ),
)


def grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda p: (f"({p[0][0]}+{p[1][0]})", f"\\left( {p[0][1]} + {p[1][1]} \\right)")),
        two.map(lambda p: (f"({p[0][0]}-{p[1][0]})", f"\\left( -{p[1][1]} + {p[0][1]} \\right)")),
        two.map(lambda p: (f"({p[0][0]})*({p[1][0]})", f"({p[1][1]}) \\cdot ({p[0][1]})")),
        two.map(lambda p: (f"\\frac{{{p[0][0]}}}{{{p[1][0]}}}", f"\\dfrac {{{p[0][1]}}} {{{p[1][1]}}}")),
        st.tuples(inner, st.integers(2, 3)).map(
            lambda p: (f"({p[0][0]})^{p[1]}", f"\\big({p[0][1]}\\big)^{{ {p[1]} }}")
        ),
        inner.map(lambda p: (f"-({p[0]})", f"-\\left({p[1]}\\right)")),
        inner.map(lambda p: (f"\\sin({p[0]})", f"\\sin{{\\left({p[1]}\\right)}}")),
    )


FORMULAS = st.recursive(ATOMS, grown, max_leaves=6)


def _read(reader: Any, text: str) -> Any:
    """None where the reader cannot: sympy takes a number in braces for a set."""
    with suppress(Undecidable):
        return reader(text)
    return None


@given(FORMULAS)
def test_both_parsers_give_one_value(pair: Pair) -> None:
    for text in map(normalise, pair):
        own, other = _read(read_formula, text), _read(read_latex, text)
        if own and other:
            with suppress(Undecidable):  # a division by zero, which sympy may cancel
                assert same_at(own, other, next(places(own.names | other.names, 1))), text


def test_brackets_side_by_side_are_a_product() -> None:
    """math-verify's parser takes (0)(1) for 1."""
    assert read_formula("(0)(1)").value({}, 256) == 0
    assert read_formula("(2)(3)").value({}, 256) == 6


@given(FORMULAS)
def test_a_formula_equals_itself_however_it_is_set(pair: Pair) -> None:
    first, second = map(normalise, pair)
    for here, there in ((first, second), (second, first)):
        with suppress(Undecidable):  # 1/(x-x)
            assert same_value(here, there)
        with suppress(Undecidable):
            assert not same_value(here, f"{there}+1")


def test_nothing_is_lost_in_a_long_number() -> None:
    assert not same_value("10^{300}\\pi", "10^{300}\\pi+1")
    assert not same_value("10^{7000}\\pi", "10^{7000}\\pi+1")
    assert not same_value("10^{300}", "10^{300}+1")


@pytest.mark.parametrize(
    "text",
    [
        "f(x)", "\\log x", "3\\frac{1}{2}", "2 3", "\\sin x y", "\\sin x^2", "\\sin^{-1}x", "x_1(2)", "|x||y|", "2^{3}^{4}",
        "\\sum_{k=1}^{3}k", "", "+", "(1", "1)", "\\frac{1}", "\\frac12 3", "1..2", "x=1", "\\begin{matrix}", "\\int x",
    ],
)  # fmt: skip
def test_what_has_two_readings_or_none_is_outside(text: str) -> None:
    with pytest.raises(Outside):
        read_formula(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14), ("-2^2", -4), ("(-2)^2", 4), ("2^{-2}", Fraction(1, 4)), ("6/2*3", 9), ("5!", 120), ("\\binom{5}{2}", 10),
        ("\\frac{1}{2}\\frac{1}{3}", Fraction(1, 6)), ("1.5\\times10^{3}", 1500), ("\\sqrt{4}", 2), ("\\sqrt[3]{27}", 3), ("|2-5|", 3),
        ("\\sin\\frac{\\pi}{2}", 1), ("\\cos^2\\pi", 1), ("\\log_2 8", 3), ("\\log_{10}{1000}", 3), ("\\ln e", 1), ("e^{i\\pi}", -1),
        ("\\sin 2\\pi", 0), ("\\tan(\\pi)/2", 0), ("i^2", -1), ("0^5", 0), ("(-1)^{1000000001}", -1),
    ],
)  # fmt: skip
def test_values(text: str, value: Fraction | int) -> None:
    formula = read_formula(text)
    assert agree(lambda bits: formula.value({}, bits), lambda bits: Fraction(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/0", "not_a_number"), ("0^0", "not_a_number"), ("0^{-1}", "not_a_number"), ("\\ln 0", "not_a_number"), ("(1/2)!", "not_a_number"),
        ("9^{9^9}", "too_large"), ("(10^9)!", "too_large"), ("\\pi^{10^9}", "too_large"), ("(2000!)(2000!)(2000!)(2000!)", "too_large"),
        (f"2^{{{LARGEST_BITS}}}", "too_large"), ("e^{e^{e^{9}}}", "too_large"),
    ],
)  # fmt: skip
def test_what_has_no_value_or_one_too_large_is_undecidable(text: str, reason: str) -> None:
    with pytest.raises(Undecidable) as error:
        read_formula(text).value({}, PRECISIONS[0])
    assert error.value.reason == reason
