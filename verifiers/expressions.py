"""Whether two expressions have the same value. Runs in a worker process only: sympy and antlr may hang on any input.

The parser is math-verify's (latex2sympy2_extended); its comparison is not used, because it accepts 1/2^99 = 1/2^98,
1e-7 = 2e-7 and any two equations that both reduce to 0 (its issues 14 and 60). Constants are compared to 50 digits
relative to their size, expressions with variables at six points, each to 50 digits. Proves nothing symbolically.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tracemill.verifiers.normal_form import exact_number, is_rounding
from tracemill.verifiers.structure import Unreadable
from tracemill.verifiers.verdicts import Undecidable

DIGITS = 50
LONGEST = 400
"""Longest expression (characters) that is parsed; antlr needs seconds beyond."""
POINTS = (Fraction(7, 5), Fraction(19, 8), Fraction(31, 9), Fraction(8, 13), Fraction(-11, 7), Fraction(-23, 6))
"""Where expressions with variables are compared. The first four are positive, where roots and logarithms are real."""

_COMMAND = re.compile(r"\\[a-zA-Z]+")
_AMBIGUOUS = re.compile(r"/\s*(?:\d+|[a-zA-Z])(?:[a-zA-Z(]|\\(?!cdot|times|div|le|ge))")
_BARE_ROOT = re.compile(r"\\sqrt ?[a-zA-Z0-9]{2}")
_DECIMAL = re.compile(r"(?<![\w}])(\d*)\.(\d+)")
BASED = re.compile(r"(-?\d[0-9A-F]*)_\{?(\d+)\}?")
REAL_LINE = ("\\infty", "+\\infty", "-\\infty")


def same_value(gold: str, value: str) -> bool:
    """Whether two scalars are equal. Raises Undecidable where that cannot be told, Unreadable for no formula."""
    if gold.replace(" ", "") == value.replace(" ", ""):
        return True
    if _is_anagram(gold, value):
        raise Undecidable("words")  # no and on, AC and CA: words and names, which as products would be equal
    if gold in REAL_LINE or value in REAL_LINE:
        return gold.removeprefix("+") == value.removeprefix("+")
    first, second = BASED.fullmatch(gold), BASED.fullmatch(value)
    if first or second:
        return _same_based(gold, value, first, second)
    exact = exact_number(gold), exact_number(value)
    if exact[0] is not None and exact[1] is not None:
        if is_rounding(gold, exact[1]) or is_rounding(value, exact[0]):
            raise Undecidable("rounded")
        return exact[0] == exact[1]
    left, right = parse(gold), parse(value)
    names = sorted({symbol.name for symbol in left.free_symbols | right.free_symbols})
    if not names:
        return _same_constant(gold, value, left, right)
    return _same_everywhere(gold, value, left, right, names)


def _is_anagram(gold: str, value: str) -> bool:
    """Both are bare words of the same letters in another order."""
    first, second = (text.replace(" ", "").casefold() for text in (gold, value))
    return (
        len(first) > 1 and first.isalpha() and second.isalpha() and first != second and sorted(first) == sorted(second)
    )


def _same_based(gold: str, value: str, first: re.Match[str] | None, second: re.Match[str] | None) -> bool:
    """12_8: numbers with their base. Without a base the same digits are taken as meant."""
    if first and second:
        return _in_base(first) == _in_base(second)
    based, plain = (first, value) if first else (second, gold)
    if based is None or based[1] == plain:
        return True
    if exact_number(plain) == _in_base(based):
        raise Undecidable("base")
    return False


def _in_base(number: re.Match[str]) -> int:
    try:
        return int(number[1], int(number[2]))
    except ValueError:  # 24632_3
        raise Undecidable("base") from None


def _same_constant(gold: str, value: str, left: Any, right: Any) -> bool:
    first, second = value_at(left, {}), value_at(right, {})
    if not differ(first, second):
        return True
    if second.imag == 0 and first.imag == 0:
        for literal, exact in ((value, first), (gold, second)):
            if is_rounding(literal, Fraction(str(exact.real))):
                raise Undecidable("rounded")
    return False


def _same_everywhere(gold: str, value: str, left: Any, right: Any, names: list[str]) -> bool:
    verdicts = []
    for shift in range(len(POINTS)):
        at = {name: POINTS[(index + shift) % len(POINTS)] for index, name in enumerate(names)}
        verdicts.append(not differ(value_at(left, at), value_at(right, at)))
    if all(verdicts):
        if _letters(gold) != _letters(value) and _letters(gold.lower()) == _letters(value.lower()):
            raise Undecidable("letter_case")  # the parser folds case: R = r
        return True
    if any(verdicts):
        raise Undecidable("domain")  # equal in places: |x| and x, or a coincidence
    return False


def _letters(text: str) -> set[str]:
    return set(re.findall("[A-Za-z]", _COMMAND.sub(" ", text)))


def value_at(expression: Any, at: dict[str, Fraction]) -> Any:
    """Value (mpmath complex, 50 digits) with variables replaced; i is the imaginary unit. Raises Undecidable."""
    import mpmath  # type: ignore[import-untyped]
    import sympy

    values = {
        symbol: sympy.I
        if symbol.name == "i"
        else sympy.Rational(at[symbol.name].numerator, at[symbol.name].denominator)
        for symbol in expression.free_symbols
    }
    exact = expression.subs(values).doit()
    try:
        result = exact.evalf(DIGITS, strict=True)
    except sympy.core.evalf.PrecisionExhausted:  # sqrt(2)^2 - 2: zero in disguise
        result = sympy.simplify(exact)
        if not result.is_Rational:
            raise Undecidable("precision") from None
    real, imaginary = result.as_real_imag()
    if not (real.is_Number and imaginary.is_Number and result.is_finite):
        raise Undecidable("not_a_number")
    with mpmath.workdps(DIGITS):
        return mpmath.mpc(real._to_mpmath(200), imaginary._to_mpmath(200))


def differ(first: Any, second: Any) -> bool:
    """Whether two numbers differ in their first 40 digits."""
    with first.context.workdps(DIGITS):
        return bool(abs(first - second) * 10 ** (DIGITS - 10) > max(abs(first), abs(second)))


@lru_cache(maxsize=1024)
def parse(text: str) -> Any:
    """A sympy expression with exact numbers. Raises Unreadable, or Undecidable where the text has two readings."""
    import sympy
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, latex2sympy, normalize_latex

    words = _COMMAND.sub(" ", text)
    if len(text) > LONGEST:
        raise Undecidable("too_long")
    if "\\text" in text or re.search(r"[A-Za-z]{3,}", words) or re.search(r"(?<!_)\d \d|\d_", text):
        raise Unreadable(text[:60])
    if _AMBIGUOUS.search(text):
        raise Undecidable("ambiguous_fraction")
    if _BARE_ROOT.search(text):
        raise Undecidable("ambiguous_root")
    exact = _DECIMAL.sub(lambda m: rf"(\frac{{{int(m[1] + m[2])}}}{{{10 ** len(m[2])}}})", text)
    config = NormalizationConfig(basic_latex=True, malformed_operators=True, boxed="none")
    try:
        result = latex2sympy(normalize_latex(exact, config), is_real=True, normalization_config=None)
    except Exception as error:  # antlr and sympy raise whatever they like on text that is no formula
        raise Unreadable(text[:60]) from error
    if not isinstance(result, sympy.Expr) or result.atoms(sympy.Float):
        raise Undecidable("notation")
    return result
