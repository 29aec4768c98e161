"""Whether two expressions have the same value.

Constants are compared exactly where they are rational, else by balls of up to 40,000 bits; expressions with variables
at six points. Proves nothing symbolically. The text is read by `verifiers.formula`, or by `verifiers.latex` within
`in_full`; one comparison uses one of them throughout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from tracemill.verifiers.formula import Evaluable, agree, exact_middle, read_formula
from tracemill.verifiers.normal_form import exact_number, is_rounding
from tracemill.verifiers.structure import Unreadable
from tracemill.verifiers.verdicts import Undecidable

LONGEST = 400
"""Longest expression (characters) that is parsed; antlr needs seconds beyond."""
POINTS = (Fraction(7, 5), Fraction(19, 8), Fraction(31, 9), Fraction(8, 13), Fraction(-11, 7), Fraction(-23, 6))
"""Where expressions with variables are compared. The first four are positive, where roots and logarithms are real."""
FEWEST_POINTS = 3
"""At so many of them both must have a value."""
ROUNDED_BITS = 512
"""Precision of a value that a decimal may be the rounding of."""

_COMMAND = re.compile(r"\\[a-zA-Z]+")
_AMBIGUOUS = re.compile(r"/\s*(?:\d+|[a-zA-Z])(?:[a-zA-Z(]|\\(?!cdot|times|div|le|ge))")
_BARE_ROOT = re.compile(r"\\sqrt ?[a-zA-Z0-9]{2}")
_WORDS_BETWEEN = re.compile(r"\d ?(?:in|of|by|out of|per|vs|is|at) ?\d")
_FUNCTION_OR_PRODUCT = re.compile(r"(?<![a-zA-Z\\])[fghFGHPQ]\(")
_DEGREES = re.compile(r"(?<![\d.])(\d+)°")
BASED = re.compile(r"(-?(?:\d[0-9A-F]*|[A-F][0-9A-F]*(?=_\{?1[1-6]\}?$)))_\{?(\d+)\}?")
REAL_LINE = ("\\infty", "+\\infty", "-\\infty")


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
    if _WORDS_BETWEEN.search(text):
        raise Undecidable("words")
    if "!!" in text or _FUNCTION_OR_PRODUCT.search(text):
        raise Undecidable("notation")
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
    if same_at(left, right, {}):
        return True
    for literal, other in ((value, left), (gold, right)):
        exact = other.value({}, ROUNDED_BITS)
        if not isinstance(exact, Fraction):
            exact = None if exact.imag != 0 else exact_middle(exact.real)
        if exact is not None and is_rounding(literal, exact):
            raise Undecidable("rounded")
    return False


def same_at(left: Evaluable, right: Evaluable, at: dict[str, Fraction]) -> bool:
    """Whether two formulas have the same value there. Raises Undecidable."""
    return agree(lambda bits: left.value(at, bits), lambda bits: right.value(at, bits))


def _same_everywhere(gold: str, value: str, left: Evaluable, right: Evaluable) -> bool:
    verdicts = []
    for at in places(left.names | right.names, len(POINTS)):
        try:
            verdicts.append(same_at(left, right, at))
        except Undecidable as error:  # a pole, or a branch: the other points may tell
            undecided = error
    if len(verdicts) < FEWEST_POINTS:
        raise undecided
    if all(verdicts):
        if left.names != right.names and _folded(left) == _folded(right):
            raise Undecidable("letter_case")
        return True
    if any(verdicts):
        raise Undecidable("domain")  # equal in places: |x| and x, or a coincidence
    if _is_renamed(left, right):
        raise Undecidable("variable")
    return False


def _folded(formula: Evaluable) -> set[str]:
    return {name.lower() for name in formula.names}


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
    return same_at(left, right, dict.fromkeys(first | second, POINTS[0]))
