"""Works out what a formula is worth: in bounded time, and to as many digits as tell two values apart.

Rational arithmetic is exact (Fraction), everything else is done in mpmath to DIGITS digits, complex where it must be.
Nothing is simplified or proved.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from tracemill.verifiers.grammar import Node, read_tree
from tracemill.verifiers.verdicts import Undecidable

DIGITS = 200
"""Digits of what is not exact: 50 may be lost to cancellation, and 150 still agree."""
LARGEST_BITS = 32_000
"""Longest exact number (bits): 2006! has 19,000."""
LARGEST_COUNT = 3000
"""Largest n in n! and in binomial coefficients."""
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}

Number = Fraction | Any
"""Exact, or an mpmath complex."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that can be worked out."""

    root: Node
    names: frozenset[str]
    """Its variables; e and i are constants."""

    def value(self, at: Mapping[str, Fraction]) -> Number:
        """The value, to DIGITS digits where it is not exact. Raises Undecidable: not_a_number, too_large."""
        context = arithmetic()
        try:
            result = _value(self.root, at, context)
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            raise Undecidable("not_a_number") from error
        if not isinstance(result, Fraction) and abs(result) < context.mpf(10) ** (50 - DIGITS):
            return Fraction(0)  # what is left of sqrt(2)^2 - 2
        return result

    @property
    def is_name(self) -> bool:
        """A bare variable."""
        return bool(self.root[0] == "name")


class _Contexts(threading.local):
    """An mpmath context a thread: its functions change the precision while they work."""

    def __init__(self) -> None:
        import mpmath  # type: ignore[import-untyped]

        self.own = mpmath.MPContext()
        self.own.dps = DIGITS


@cache
def _contexts() -> _Contexts:
    return _Contexts()


def arithmetic() -> Any:
    """This thread's mpmath context, of DIGITS digits."""
    return _contexts().own


@lru_cache(maxsize=4096)
def read_formula(text: str) -> Formula:
    """Raises Outside where the text is beyond `verifiers.grammar`."""
    return Formula(*read_tree(text))


def _value(node: Node, at: Mapping[str, Fraction], mp: Any) -> Number:
    kind = node[0]
    if kind == "number":
        return node[1]
    if kind == "name":
        return at[node[1]]
    if kind in ("pi", "e", "i"):
        return {"pi": mp.mpc(mp.pi), "e": mp.mpc(mp.e), "i": mp.mpc(0, 1)}[kind]
    values = [_value(part, at, mp) for part in node[1:]]
    first, second = values[0], values[-1]
    if kind == "negative":
        return -first
    if kind == "abs":
        return abs(first) if isinstance(first, Fraction) else mp.mpc(abs(first))
    if kind == "^":
        return _power(first, second, mp)
    if kind in ("!", "binom"):
        return _counted(kind, first, second)
    if kind in _OPERATORS:
        if isinstance(first, Fraction) != isinstance(second, Fraction):
            first, second = inexact(first), inexact(second)
        result = _OPERATORS[kind](first, second)
        if (
            isinstance(result, Fraction)
            and result.denominator.bit_length() + result.numerator.bit_length() > 2 * LARGEST_BITS
        ):
            raise Undecidable("too_large")
        return result
    result = mp.mpc(getattr(mp, kind)(inexact(first)))
    if not mp.isfinite(result):
        raise Undecidable("not_a_number")
    return result


def inexact(value: Number) -> Any:
    """As a complex number of this thread's context."""
    context = arithmetic()
    return context.mpc(context.mpf(value.numerator) / value.denominator) if isinstance(value, Fraction) else value


def _power(base: Number, exponent: Number, mp: Any) -> Number:
    if base == 0 and not (isinstance(exponent, Fraction) and exponent > 0):
        raise Undecidable("not_a_number")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        if base == 0 or abs(base) == 1:
            return base if exponent % 2 else abs(base)
        bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) > LARGEST_BITS:
            raise Undecidable("too_large")
        return base ** int(exponent)
    root, power = inexact(base), inexact(exponent)
    if root != 0 and abs(power) * max(1, abs(mp.log(abs(root)))) > LARGEST_BITS:
        raise Undecidable("too_large")
    return mp.mpc(mp.power(root, power))


def _counted(kind: str, first: Number, second: Number) -> Number:
    for number in (first, second):
        if not isinstance(number, Fraction) or number.denominator != 1 or number < 0:
            raise Undecidable("not_a_number")
        if number > LARGEST_COUNT:
            raise Undecidable("too_large")
    return Fraction(math.factorial(int(first)) if kind == "!" else math.comb(int(first), int(second)))
