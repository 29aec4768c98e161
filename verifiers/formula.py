"""Works out what a formula is worth: exactly, or as a ball that is sure to hold the value; in bounded time.

Rational arithmetic is exact (Fraction), everything else is ball arithmetic (FLINT's acb), complex where it must be; odd
roots of negative numbers are real. Two values whose balls do not touch differ for certain. Nothing is simplified.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

from tracemill.verifiers.grammar import Node, read_tree
from tracemill.verifiers.verdicts import Undecidable

PRECISIONS = (256, 4_096, 40_000)
"""Bits of the balls, one after the other until two balls are apart. 1 - 2^-2019 takes the second, 1/2006! the last."""
LARGEST_BITS = 32_000
"""Longest exact number (bits): 2006! has 19,000."""
LARGEST_COUNT = 3000
"""Largest n in n! and in binomial coefficients."""
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_flint = threading.RLock()  # FLINT's precision is one setting for the whole process

Number = Fraction | Any
"""Exact, or an acb."""


class Evaluable(Protocol):
    """A formula that was read."""

    @property
    def names(self) -> frozenset[str]: ...
    @property
    def is_name(self) -> bool: ...
    def value(self, at: Mapping[str, Fraction], bits: int) -> Number: ...


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that can be worked out."""

    root: Node
    names: frozenset[str]
    """Its variables; e and i are constants."""

    @property
    def is_name(self) -> bool:
        """A bare variable."""
        return bool(self.root[0] == "name")

    def value(self, at: Mapping[str, Fraction], bits: int) -> Number:
        """The value with the variables replaced. Raises Undecidable: not_a_number, too_large, branch."""
        with _flint:
            _set_precision(bits)
            try:
                return _value(self.root, at)
            except (ZeroDivisionError, OverflowError, ValueError) as error:
                raise Undecidable("not_a_number") from error


@lru_cache(maxsize=4096)
def read_formula(text: str) -> Formula:
    """Raises Outside where the text is beyond `verifiers.grammar`."""
    return Formula(*read_tree(text))


def agree(first: Callable[[int], Number], second: Callable[[int], Number]) -> bool:
    """Whether two values, each given for a number of bits, are the same. Raises Undecidable where that is not seen.

    False is certain. True is certain for exact values; else it says that they are the same to thousands of digits.
    """
    for bits in PRECISIONS:
        one, other = first(bits), second(bits)
        if isinstance(one, Fraction) and isinstance(other, Fraction):
            return one == other
        with _flint:
            _set_precision(bits)
            left, right = ball(one), ball(other)
            difference = left - right
            if not difference.contains(0):
                return False
            narrow = difference.abs_upper() * 2 ** (PRECISIONS[1] // 2) < left.abs_upper() + right.abs_upper() + 1
    if not narrow:
        raise Undecidable("precision")
    return True


def combine(sign: str, first: Number, second: Number, bits: int) -> Number:
    """`first` + - * / `second`. Raises Undecidable for a division by what may be zero."""
    with _flint:
        _set_precision(bits)
        return _operate(sign, first, second)


def ball(value: Number) -> Any:
    """A value as a ball of the present precision."""
    import flint

    return flint.acb(flint.fmpq(value.numerator, value.denominator)) if isinstance(value, Fraction) else value


def is_positive(value: Number) -> bool:
    """Whether the real part is above zero for certain."""
    return value > 0 if isinstance(value, Fraction) else bool(value.real > 0)


def exact_middle(value: Any) -> Fraction:
    """The middle of a real ball."""
    middle = value.mid().fmpq()
    return Fraction(int(middle.p), int(middle.q))


def _set_precision(bits: int) -> None:
    import flint

    flint.ctx.prec = bits


def _value(node: Node, at: Mapping[str, Fraction]) -> Number:
    kind = node[0]
    if kind == "number":
        return node[1]
    if kind == "name":
        return at[node[1]]
    if kind in ("pi", "e", "i"):
        return _constant(kind)
    values = [_value(part, at) for part in node[1:]]
    first, second = values[0], values[-1]
    if kind in _OPERATORS:
        return _operate(kind, first, second)
    if kind == "negative":
        return -first
    if kind == "abs":
        return abs(first) if isinstance(first, Fraction) else ball(Fraction(0)) + abs(first)
    if kind == "^":
        return _power(first, second)
    if kind == "root":
        return _root(first, second)
    if kind in ("!", "binom"):
        return _counted(kind, first, second)
    return _finite(getattr(ball(first), kind)())


def _constant(kind: str) -> Any:
    import flint

    return {"pi": flint.acb.pi, "e": flint.acb(1).exp, "i": lambda: flint.acb(0, 1)}[kind]()


def _operate(sign: str, first: Number, second: Number) -> Number:
    if not (isinstance(first, Fraction) and isinstance(second, Fraction)):
        return _finite(_OPERATORS[sign](ball(first), ball(second)))
    result: Fraction = _OPERATORS[sign](first, second)
    if result.denominator.bit_length() + result.numerator.bit_length() > 2 * LARGEST_BITS:
        raise Undecidable("too_large")
    return result


def _finite(value: Any) -> Any:
    """The value, if it is one. A pole, or a ball that holds one, is not; what is beyond all bounds is too large."""
    if not value.is_finite():
        raise Undecidable("not_a_number")
    if value.abs_lower() > _huge():
        raise Undecidable("too_large")
    return value


def _huge() -> Any:
    import flint

    return flint.arb(2) ** LARGEST_BITS


def _power(base: Number, exponent: Number) -> Number:
    if base == 0 and not (isinstance(exponent, Fraction) and exponent > 0):
        raise Undecidable("not_a_number")
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        return _whole_power(base, int(exponent))
    if isinstance(exponent, Fraction) and exponent.denominator % 2 and not _is_positive_or_complex(base):
        raise Undecidable("branch")  # (-8)^{1/3}: -2, or 1 + 1.73i
    if abs(ball(exponent)).upper() > LARGEST_BITS:
        raise Undecidable("too_large")
    return _finite(ball(base).pow(ball(exponent)))


def _whole_power(base: Number, exponent: int) -> Number:
    if not isinstance(base, Fraction):
        if abs(exponent) > LARGEST_BITS:
            raise Undecidable("too_large")
        return _finite(base.pow(exponent))
    if base == 0 or abs(base) == 1:
        return base if exponent % 2 else abs(base)
    bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
    if bits * abs(exponent) > LARGEST_BITS:
        raise Undecidable("too_large")
    return base**exponent


def _root(value: Number, index: Number) -> Number:
    """The real root of a negative number, where there is one; else the principal root."""
    if not isinstance(index, Fraction) or index.denominator != 1 or not 2 <= index <= LARGEST_COUNT:
        raise Undecidable("not_a_number")
    if value == 0:
        return Fraction(0)
    if index % 2 and not _is_positive_or_complex(value):
        return -_finite((-ball(value)).root(int(index)))
    return _finite(ball(value).root(int(index)))


def _is_positive_or_complex(value: Number) -> bool:
    """Whether a power has one branch that everybody means. Raises Undecidable where the sign is not seen."""
    if isinstance(value, Fraction):
        return value >= 0
    if value.imag != 0 or value.real > 0:
        return True
    if value.real < 0:
        return False
    raise Undecidable("branch")


def _counted(kind: str, first: Number, second: Number) -> Number:
    for number in (first, second):
        if not isinstance(number, Fraction) or number.denominator != 1 or number < 0:
            raise Undecidable("not_a_number")
        if number > LARGEST_COUNT:
            raise Undecidable("too_large")
    return Fraction(math.factorial(int(first)) if kind == "!" else math.comb(int(first), int(second)))
