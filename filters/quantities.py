"""What a rewording leaves as it is: the numbers of a text and the signs of its formulas.

Where embeddings say that two texts speak of the same, these say whether they ask or compute the same. Knows digits, and
English words from two to ninety; no other notation (`half`, `a dozen`, Roman numerals).
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple, TypeVar

T = TypeVar("T")
SIGNS = 0.5
"""Least `agreement` of the signs of two questions that may be one: of 16 paraphrases of MATH problems the
least is .50, the next .57."""

_SMALL = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SPELLED = {word: str(number) for number, word in enumerate(_SMALL.split(), 2)}
_SPELLED |= {word: str(10 * number) for number, word in enumerate(_TENS.split(), 2)}
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
_NUMBER = re.compile(_DIGITS)
_ANY_NUMBER = re.compile(rf"{_DIGITS}|\b(?:{'|'.join(_SPELLED)})\b")
_LIST_MARKER = re.compile(r"^[^\w\n]{0,8}(?:step |case )?\d+[.):](?=[\s*])", re.MULTILINE | re.IGNORECASE)
_FORMULA = re.compile(
    r"\$\$.{1,999}?\$\$|\\\[.{1,999}?\\\]|\\\(.{1,999}?\\\)|\\begin\{(align|equation|gather)\*?\}.{1,999}?\\end\{\1"
    r"|\$(?=\S)[^$]{1,999}?(?<=\S)\$(?!\d)",
    re.DOTALL,
)
"""Bounded, since openings that nothing closes would cost the square of the text. $ as pandoc reads it, so that `it
costs $5, and the other $6` is none."""
_SIGN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]|\d+(?:\.\d+)?|[-+*/^=<>|!(),&]")
_LAYOUT = re.compile(r"\\(?:begin|end|text)\*?\{[^{}]*\}|\\(?:left|right|displaystyle|quad)\b|\\[,!]")


class Quantities(NamedTuple):
    """Of a question."""

    numbers: Counter[str]
    signs: Counter[tuple[str, str]]
    """Neighbours within its formulas: letters, commands, operators and numbers; "" is before the first and after the
    last. Two problems on vectors have the same signs, but not side by side. A number or letter alone is no formula."""


def quantities(question: str) -> Quantities:
    """The numbers, spelled-out ones too, and the signs of the formulas, each as often as it occurs."""
    signs: Counter[tuple[str, str]] = Counter()
    for formula in _FORMULA.finditer(question):
        found = _SIGN.findall(_LAYOUT.sub(" ", formula[0]).replace("dfrac", "frac"))
        if len(found) > 1:
            signs.update(pairwise(["", *found, ""]))
    numbers = _ANY_NUMBER.findall(question.lower())
    return Quantities(Counter(_SPELLED.get(number) or _plain(number) for number in numbers), signs)


def computed(chain: str) -> list[str]:
    """The numbers of a chain of thought, in digits, in their order; without those that number steps and list items."""
    return list(map(_plain, _NUMBER.findall(_LIST_MARKER.sub("", chain))))


def agreement(one: Counter[T], other: Counter[T]) -> float:
    """Jaccard of two multisets, 0 to 1; 1 for two empty ones."""
    either = (one | other).total()
    return (one & other).total() / either if either else 1.0


def _plain(number: str) -> str:
    """1,000.50 is 1000.5"""
    if "," in number:
        number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number
