"""Reads the common part of LaTeX's and plain text's formulas, and works out their values. Fast, and bounded in time.

Rational arithmetic is exact (Fraction), everything else is done in mpmath to as many digits as are asked for, complex
where it must be. Grammar: numbers, letters with subscripts, Greek letters, + - * / ^ ! | |, brackets, \\frac, \\sqrt,
\\binom, \\pi, e, i, and functions of one argument whose end is plain to see. What is outside of it, or has two
readings, is `Outside`: another parser may try. Nothing here is simplified or proved.
"""

from __future__ import annotations

import math
import operator
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from tracemill.verifiers.verdicts import Undecidable

DIGITS = 200
"""Digits of what is not exact: 50 may be lost to cancellation, and 150 still agree."""
LARGEST_BITS = 32_000
"""Longest exact number (bits): 2006! has 19,000."""
LARGEST_COUNT = 3000
"""Largest n in n! and in binomial coefficients."""
DEEPEST = 40
"""Most brackets within each other."""

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)|(\\[a-zA-Z]+|[a-zA-Z])(_(?:\{\w+\}|\w))?|(.))", re.DOTALL)
_GREEK = frozenset(
    f"\\{name}"
    for name in (
        "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "nu", "rho", "sigma", "tau", "phi",
        "omega", "psi", "varphi",
    )
)  # fmt: skip
_FUNCTIONS = {
    "\\sin": "sin", "\\cos": "cos", "\\tan": "tan", "\\cot": "cot", "\\sec": "sec", "\\csc": "csc", "\\ln": "log",
    "\\arcsin": "asin", "\\arccos": "acos", "\\arctan": "atan",
}  # fmt: skip
_FACTOR_LETTERS = frozenset("abckmnrxyzABCKMNRXYZ")
"""Letters before a bracket that are a factor: n(n+1). f(x) is not."""

_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}

Number = Fraction | Any
"""Exact, or an mpmath complex."""
Node = tuple[Any, ...]


class Outside(Exception):
    """The text is not within this grammar."""


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
    """Raises Outside."""
    tokens = [(match[1] or match[2] or match[4], match[3] or "") for match in _TOKEN.finditer(text.strip())]
    reader = _Reader(tokens)
    root = reader.sum()
    if reader.at != len(tokens):
        raise Outside(text)
    return Formula(root, frozenset(reader.names))


class _Reader:
    """Recursive descent over (token, subscript) pairs."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.names: set[str] = set()

    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise Outside(token)

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Outside("deep")
        node = self.product()
        while self.peek() in ("+", "-"):
            sign = self.take()
            node = (sign, node, self.product())
        self.depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while token := self.peek():
            if token in ("*", "\\cdot", "\\times", "/", "\\div"):
                self.take()
                node = ("/" if token in ("/", "\\div") else "*", node, self.signed())
            elif _starts_factor(token):
                before = self.tokens[self.at - 1][0]
                if before[-1].isdigit() and (token[0].isdigit() or token[0] == "." or token == "\\frac"):
                    raise Outside("a mixed number, or two numbers side by side")
                node = ("*", node, self.power())
            else:
                break
        return node

    def signed(self) -> Node:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        node = self.power()
        return node if sign > 0 else ("negative", node)

    def power(self) -> Node:
        node = self.atom()
        while self.peek() == "!":
            self.take()
            node = ("!", node)
        if self.peek() == "^":
            self.take()
            node = ("^", node, self.exponent())
            if self.peek() in ("^", "!"):
                raise Outside("a second exponent")
        return node

    def exponent(self) -> Node:
        sign = self.take() if self.peek() in ("+", "-") else ""
        node = self.atom()
        return ("negative", node) if sign == "-" else node

    def atom(self) -> Node:
        token, subscript = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        if token and (token[0].isdigit() or (token[0] == "." and len(token) > 1)):
            return ("number", Fraction(token.rstrip(".")))
        if token in ("(", "{"):
            node = self.sum()
            self.expect(")" if token == "(" else "}")
            return node
        if token == "|":
            node = self.sum()
            self.expect("|")
            return ("abs", node)
        if token == "\\frac":
            return ("/", self.group(), self.group())
        if token == "\\binom":
            return ("binom", self.group(), self.group())
        if token == "\\sqrt":
            return self.root()
        if token == "\\pi" and not subscript:
            return ("pi",)
        if token == "\\log" and subscript:
            base = read_formula(re.sub(r"[_{}]", "", subscript)).root
            return ("/", ("log", self.argument()), ("log", base))
        if token in _FUNCTIONS and not subscript:
            return self.function(token)
        if token in _GREEK or (len(token) == 1 and token.isalpha() and token.isascii()):
            return self.letter(token, subscript)
        raise Outside(token)

    def letter(self, token: str, subscript: str) -> Node:
        if token in ("e", "i") and not subscript:
            return (token,)
        if self.peek() == "(" and (subscript or token not in _FACTOR_LETTERS):
            raise Outside("a function, or a product")
        name = token + re.sub(r"[{}]", "", subscript)
        self.names.add(name)
        return ("name", name)

    def group(self) -> Node:
        """What a command takes: braces, or one digit."""
        if re.fullmatch(r"\d", self.peek()):
            return ("number", Fraction(self.take()))
        self.expect("{")
        node = self.sum()
        self.expect("}")
        return node

    def root(self) -> Node:
        index: Node = ("number", Fraction(2))
        if self.peek() == "[":
            self.take()
            index = self.sum()
            self.expect("]")
        return ("^", self.group(), ("/", ("number", Fraction(1)), index))

    def function(self, token: str) -> Node:
        power: Node | None = None
        if self.peek() == "^":
            self.take()
            power = self.exponent()
            if power[0] != "number" or power[1] < 1:
                raise Outside("an inverse function, or a power")
        node: Node = (_FUNCTIONS[token], self.argument())
        return node if power is None else ("^", node, power)

    def argument(self) -> Node:
        """In brackets, or one number or letter after which the product plainly ends."""
        bracketed = self.peek() in ("(", "{")
        node = self.atom()
        if not bracketed and node[0] == "number" and (self.peek() == "\\pi" or self.peek() in _FACTOR_LETTERS):
            node = ("*", node, self.atom())
        following = self.peek()
        if (
            following in ("^", "!")
            or (following == "/" and not bracketed)
            or (_starts_factor(following) and following not in _FUNCTIONS)
        ):
            raise Outside("where the argument ends")
        return node


def _starts_factor(token: str) -> bool:
    return bool(token) and (token[0].isalnum() or token in ("(", "{", ".") or (token[0] == "\\" and len(token) > 1))


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
