"""Answers that are words: even, Evelyn, Tuesday, no solution, seven.

Says whether a text is words at all, the number that a number word means, and whether two words are the same answer.
Knows no language but English; where two different words could mean the same, nothing is decided.
"""

from __future__ import annotations

import re
from fractions import Fraction

from tracemill.verifiers.verdicts import Undecidable

_WORDS = re.compile(r"[A-Za-z][A-Za-z']+(?:-[A-Za-z][A-Za-z']+)*(?: [A-Za-z'-]+)*")
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_NUMBERS = (
    {word: value for value, word in enumerate(_SMALL)}
    | _TENS
    | {f"{ten}-{_SMALL[unit]}": value + unit for ten, value in _TENS.items() for unit in range(1, 10)}
    | {"one hundred": 100, "a hundred": 100, "hundred": 100}
)
_CLASSES = (
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
    {"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
     "december"},
    {"north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest"},
    {"odd", "even"}, {"yes", "no"}, {"true", "false"}, {"positive", "negative"}, {"left", "right"}, {"up", "down"},
    {"red", "orange", "yellow", "green", "blue", "purple", "black", "white", "brown", "pink"},
    {"circle", "ellipse", "parabola", "hyperbola", "line", "point"}, {"heads", "tails"}, {"acute", "right", "obtuse"},
)  # fmt: skip
"""Words of one class are different answers; what any other two words may share, only the question knows."""
_NOTHING = {
    "no solution", "no solutions", "no real solution", "no real solutions", "none", "does not exist", "dne",
    "no such number", "empty set", "the empty set", "empty", "undefined", "no roots", "no real roots",
}  # fmt: skip


def plain(text: str) -> str:
    r"""A normalised answer without \\text{}, brackets and full stops, in lower case."""
    return " ".join(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip('()." ').casefold().split())


def are_words(text: str) -> bool:
    r"""Words, not a product of variables: in \\text{}, of three letters or more, or yes and no."""
    shown = " ".join(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip('()." ').split())
    return _WORDS.fullmatch(shown) is not None and ("\\text{" in text or len(shown) > 2 or shown.lower() == "no")


def is_prose(text: str) -> bool:
    """Words that are no answer to a question for a number: cannot be determined. None and no solution may be one."""
    return are_words(text) and plain(text) not in _NOTHING


def number_word(text: str) -> Fraction | None:
    """The value of `seven`, `twenty-one`, `one hundred`; None for anything else."""
    value = _NUMBERS.get(plain(text))
    return None if value is None else Fraction(value)


def same_words(reference: str, answer: str) -> bool:
    """Whether an answer says the words of the reference. Raises Undecidable where they could mean the same."""
    gold, value = plain(reference), plain(answer)
    if gold == value:
        return True
    if {gold, value} <= _NOTHING or {gold, value} & {"\\emptyset", "\\varnothing"}:
        raise Undecidable("words")
    if not are_words(answer) or not are_words(reference) or " " in gold or " " in value:
        raise Undecidable("words")
    if any({gold, value} <= known for known in _CLASSES):
        return False
    raise Undecidable("words")


def are_options(question: str, reference: str, answer: str) -> bool:
    """Whether both are words that the question names, so that they are different answers."""
    asked = set(re.findall(r"[a-z'-]+", question.lower()))
    gold, value = plain(reference), plain(answer)
    alike = gold.startswith(value[:4]) or value.startswith(gold[:4])
    return gold != value and not alike and {gold, value} <= asked and are_words(reference) and are_words(answer)
