"""Reads the common part of LaTeX's and plain text's formulas into a tree. Fast, and works nothing out.

Grammar: numbers, letters with subscripts, Greek letters, + - * / ^ ! and bars, brackets, \\frac, \\sqrt, \\binom, \\pi,
e, i, and functions of one argument whose end is plain to see. What is outside of it, or has two readings, is `Outside`:
another parser may try.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

DEEPEST = 40
"""Most brackets within each other."""

Node = tuple[Any, ...]
"""An operator or a kind of leaf, then its operands."""

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


class Outside(Exception):
    """The text is not within this grammar."""


def read_tree(text: str) -> tuple[Node, frozenset[str]]:
    """The tree and its variables; e and i are constants. Raises Outside."""
    tokens = [(match[1] or match[2] or match[4], match[3] or "") for match in _TOKEN.finditer(text.strip())]
    reader = _Reader(tokens)
    root = reader.sum()
    if reader.at != len(tokens):
        raise Outside(text)
    return root, frozenset(reader.names)


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
        if self.peek() == "!":
            self.take()
            node = ("!", node)
            if self.peek() == "!":
                raise Outside("a double factorial, or a factorial of one")
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
            base = read_tree(re.sub(r"[_{}]", "", subscript))[0]
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
        return ("root", self.group(), index)

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
