"""Whether two expressions have the same value.

Constants are compared exactly where they are rational, else to 150 digits; expressions with variables at six points.
Proves nothing symbolically. The text is read by `parser`: `verifiers.formula` by default, and by `verifiers.latex` in a
worker process; one comparison uses one of them throughout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Protocol

from tracemill.verifiers.formula import DIGITS, Number, inexact, read_formula
from tracemill.verifiers.normal_form import exact_number, is_rounding
from tracemill.verifiers.structure import Unreadable
from tracemill.verifiers.verdicts import Undecidable

LONGEST = 400
"""Longest expression (characters) that is parsed; antlr needs seconds beyond."""
AGREE = 10 ** (DIGITS - 50)
"""Two values are the same where they differ by less than one part in this."""
POINTS = (Fraction(7, 5), Fraction(19, 8), Fraction(31, 9), Fraction(8, 13), Fraction(-11, 7), Fraction(-23, 6))
"""Where expressions with variables are compared. The first four are positive, where roots and logarithms are real."""

_COMMAND = re.compile(r"\\[a-zA-Z]+")
_AMBIGUOUS = re.compile(r"/\s*(?:\d+|[a-zA-Z])(?:[a-zA-Z(]|\\(?!cdot|times|div|le|ge))")
_BARE_ROOT = re.compile(r"\\sqrt ?[a-zA-Z0-9]{2}")
_DEGREES = re.compile(r"(?<![\d.])(\d+)°")
BASED = re.compile(r"(-?\d[0-9A-F]*)_\{?(\d+)\}?")
REAL_LINE = ("\\infty", "+\\infty", "-\\infty")


class Evaluable(Protocol):
    """A formula that was read."""

    @property
    def names(self) -> frozenset[str]: ...
    @property
    def is_name(self) -> bool: ...
    def value(self, at: Mapping[str, Fraction]) -> Number: ...


_in_full = False


@contextmanager
def in_full() -> Iterator[None]:
    """Read with math-verify's parser. In a worker process only, and not in threads."""
    global _in_full
    _in_full = True
    try:
        yield
    finally:
        _in_full = False


def parse(text: str) -> Evaluable:
    """Raises Unreadable; Undecidable where the text has two readings; Outside where only the full parser can tell."""
    words = _COMMAND.sub(" ", text)
    if len(text) > LONGEST:
        raise Undecidable("too_long")
    if re.search(r"\d_[a-z]", text):
        raise Undecidable("base")
    if "\\text" in text or re.search(r"[A-Za-z]{3,}", words) or re.search(r"(?<!_)\d \d|\d_", text):
        raise Unreadable(text[:60])
    if _AMBIGUOUS.search(text):
        raise Undecidable("ambiguous_fraction")
    if _BARE_ROOT.search(text):
        raise Undecidable("ambiguous_root")
    text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)  # inside \sin and its like
    if not _in_full:
        return read_formula(text)
    from tracemill.verifiers.latex import read_latex

    return read_latex(text)


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
    if not left.names | right.names:
        return _same_constant(gold, value, left, right)
    return _same_everywhere(gold, value, left, right)


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


def _same_constant(gold: str, value: str, left: Evaluable, right: Evaluable) -> bool:
    first, second = left.value({}), right.value({})
    if not differ(first, second):
        return True
    for literal, exact in ((value, first), (gold, second)):
        real = exact if isinstance(exact, Fraction) else None if exact.imag else Fraction(str(exact.real))
        if real is not None and is_rounding(literal, real):
            raise Undecidable("rounded")
    return False


def _same_everywhere(gold: str, value: str, left: Evaluable, right: Evaluable) -> bool:
    names = left.names | right.names
    verdicts = [not differ(left.value(at), right.value(at)) for at in places(names, len(POINTS))]
    if all(verdicts):
        if left.names != right.names and {name.lower() for name in left.names} == {
            name.lower() for name in right.names
        }:
            raise Undecidable("letter_case")
        return True
    if any(verdicts):
        raise Undecidable("domain")  # equal in places: |x| and x, or a coincidence
    if _is_renamed(left, right):
        raise Undecidable("variable")
    return False


def places(names: frozenset[str], count: int) -> Iterator[dict[str, Fraction]]:
    """Values for the variables, `count` times others. R and r get the same: what differs in case is not decided."""
    order = {name: index for index, name in enumerate(sorted({name.lower() for name in names}))}
    for shift in range(count):
        yield {name: POINTS[(order[name.lower()] + shift) % len(POINTS)] for name in names}


def _is_renamed(left: Evaluable, right: Evaluable) -> bool:
    """2n + 1 and 2k + 1: the same but for the name of the one variable."""
    first, second = left.names, right.names
    if len(first) != 1 or len(second) != 1 or first == second or left.is_name or right.is_name:
        return False
    at = dict.fromkeys(first | second, POINTS[0])
    return not differ(left.value(at), right.value(at))


def differ(first: Number, second: Number) -> bool:
    """Whether two numbers are not the same: exactly where both are exact, else in their first digits.

    Raises Undecidable where these do not tell.
    """
    difference = subtract(first, second)
    if isinstance(difference, Fraction):
        return difference != 0
    size = max(abs(inexact(first)), abs(inexact(second)))
    if abs(difference) * AGREE > size:
        return True
    if size > AGREE:  # so long that a whole one is lost in its last digits
        raise Undecidable("too_large")
    return False


def subtract(first: Number, second: Number) -> Number:
    """Their difference, exact where both are."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return first - second
    return inexact(first) - inexact(second)
