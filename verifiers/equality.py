"""Do two answers say the same? Shapes must match; the expressions in them are compared by `verifiers.expressions`.

What can be read in two ways, or not compared for certain, raises Undecidable: a set for
a tuple, another unit, a list in another bracket, equations that are no multiples of each other.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from fractions import Fraction

from tracemill.verifiers.expressions import BASED, REAL_LINE, differ, in_full, parse, places, same_value, subtract
from tracemill.verifiers.formula import Number
from tracemill.verifiers.grammar import Outside
from tracemill.verifiers.normal_form import exact_number, is_rounding
from tracemill.verifiers.structure import Items, Named, Relation, Scalar, Unreadable, Value, read
from tracemill.verifiers.units import is_thing, measure
from tracemill.verifiers.verdicts import Undecidable
from tracemill.verifiers.words import are_words, is_prose, same_words

CONVERSIONS = {Fraction(n) for n in (2, 3, 4, 7, 10, 12, 16, 24, 30, 36, 52, 60, 100, 144, 365, 1000, 1440, 3600, 5280)}
"""A ratio between values of which one has a unit: perhaps the same quantity in another unit."""

_TUPLES = {"()", "[]", "<>", "vector", "row"}


def warm() -> None:
    """Import the full parser and use it once, so that no deadline pays for its tables."""
    for left, right in ((r"\log(\sqrt{3}x)", r"\log(x\sqrt{3})+\frac{0}{4}"), (r"\log x=4", r"\log(\sin(\pi))=4")):
        with contextlib.suppress(Undecidable):
            compare_in_full(left, right)


def compare_in_full(reference: str, answer: str) -> tuple[str, str]:
    """The same as `compare`, for a worker process: what is outside the quick parser is read by math-verify's."""
    try:
        return compare(reference, answer)
    except Outside:
        with in_full():
            return compare(reference, answer)


def compare(reference: str, answer: str) -> tuple[str, str]:
    """Outcome value and reason for two normalised texts: ("correct", "equivalent"), ("undecided", "unit"), …

    Raises Outside where the quick parser cannot read a formula.
    """
    try:
        gold = read(reference)
        _check(gold)
    except (Unreadable, Undecidable):
        return "undecided", "bad_reference"
    try:
        value = read(answer)
        _check(value)
    except Unreadable as error:
        return "unparsed", f"not_math: {error}"
    except Undecidable as error:
        return "undecided", error.reason
    except RecursionError:
        return "undecided", "too_deep"
    if isinstance(gold, Scalar) and isinstance(value, Items) and "\\or" in answer:
        return "unparsed", "several_answers"
    if isinstance(gold, Scalar) and re.search(r"\d", gold.text) and is_prose(answer):
        return "unparsed", f"not_math: {answer[:60]}"
    try:
        return _judged(gold, value)
    except RecursionError:
        return "undecided", "too_deep"
    except Undecidable as error:
        return "undecided", error.reason


def _judged(gold: Value, value: Value) -> tuple[str, str]:
    if not same(gold, value):
        return "wrong", "different"
    if _is_reordered(gold, value):
        return ("undecided", "order") if len(_names(gold)) != len(_names(value)) else ("correct", "reordered")
    if isinstance(gold, Scalar) and isinstance(value, Scalar) and bool(gold.unit) != bool(value.unit):
        return "correct", f"assumed_unit: {gold.unit or value.unit}"
    return "correct", "equivalent"


def _check(value: Value) -> None:
    """Parse every expression of a value now, so that what cannot be read is known to be its own fault."""
    if isinstance(value, Items):
        for item in value.items:
            _check(item)
    elif isinstance(value, Named):
        _check(value.value)
        for step in value.steps:
            _check(step)
            if not same(step, value.value):
                raise Undecidable("equation")
    elif isinstance(value, Relation):
        parse(value.left), parse(value.right)
    elif not _is_plain(value.text):
        parse(value.text)


def _is_plain(text: str) -> bool:
    """A literal, a word, or what else is compared without parsing it."""
    return exact_number(text) is not None or text in REAL_LINE or bool(BASED.fullmatch(text)) or are_words(text)


def same(gold: Value, value: Value) -> bool:
    """Whether both say the same. Raises Undecidable where that cannot be told."""
    if isinstance(gold, Scalar) and isinstance(value, Relation) and value.sign == "=" and _is_true(value):
        return same(gold, Scalar(value.right))
    if isinstance(gold, Relation) or isinstance(value, Relation):
        return _same_relation(gold, value)
    if isinstance(gold, Named) and isinstance(value, Named):
        equal = same(gold.value, value.value)
        if equal and gold.name.replace(" ", "") != value.name.replace(" ", ""):
            raise Undecidable("variable")
        return equal
    if isinstance(gold, Named):
        return same(gold.value, value)
    if isinstance(value, Named):
        return same(gold, value.value)
    if isinstance(gold, Items) and isinstance(value, Items):
        return _same_items(gold, value)
    if isinstance(gold, Scalar) and isinstance(value, Scalar):
        return _same_quantity(gold, value)
    return _same_single(gold, value)


def _is_true(relation: Relation) -> bool:
    """2 + 3 = 5: an equation of constants that holds."""
    constants = not (parse(relation.left).names or parse(relation.right).names)
    return constants and same_value(relation.left, relation.right)


def _same_single(gold: Value, value: Value) -> bool:
    """One value against several: a set or list of one is that one."""
    group, single = (gold, value) if isinstance(gold, Items) else (value, gold)
    assert isinstance(group, Items)
    assert isinstance(single, Scalar)
    if len(group.items) == 1:
        return same(group.items[0], single)
    texts = [item.text for item in group.items if isinstance(item, Scalar)]
    if group.kind == "list" and single.text in ("".join(texts), ".".join(texts)):
        raise Undecidable("separator")
    if single.text == f"{texts[0]}-{texts[-1]}" if texts else False:
        raise Undecidable("range")
    if any(word in single.text for word in ("mathbb", "emptyset")) or are_words(single.text):
        raise Undecidable("notation")
    return False


def _same_items(gold: Items, value: Items) -> bool:
    kinds = {gold.kind, value.kind}
    if gold.kind == value.kind and gold.kind not in ("list", "{}", "union"):
        return _same_in_order(gold.items, value.items)
    if kinds <= {"list", "{}"} or kinds == {"union"}:
        equal = _same_in_any_order(gold.items, value.items)
        if not equal and kinds == {"union"}:
            raise Undecidable("union")
        return equal
    if gold.interval or value.interval:
        if "union" in kinds or not kinds <= {"()", "[]", "[)", "(]"}:
            raise Undecidable("kind")
        return False
    if kinds <= _TUPLES or kinds == {"matrix", "[]"}:
        equal = _same_in_order(gold.items, value.items)
        if equal and ((len(gold.items) == 2 and kinds == {"()", "[]"}) or kinds == {"vector", "row"}):
            raise Undecidable("kind")
        return equal
    if _same_in_any_order(gold.items, value.items):
        raise Undecidable("kind")
    return False


def _same_in_order(gold: Sequence[Value], value: Sequence[Value]) -> bool:
    return len(gold) == len(value) and all(same(a, b) for a, b in zip(gold, value, strict=True))


def _same_in_any_order(gold: Sequence[Value], value: Sequence[Value]) -> bool:
    rest = list(value)
    for item in gold:
        match = next((other for other in rest if same(item, other)), None)
        if match is None:
            return False
        rest.remove(match)
    if any(any(same(item, other) for item in gold) for other in rest):
        raise Undecidable("repeated")
    return not rest


def _is_reordered(gold: Value, value: Value) -> bool:
    """Equal lists whose order differs; whether that matters, only the question says."""
    if not (isinstance(gold, Items) and isinstance(value, Items)) or "list" not in (gold.kind, value.kind):
        return False
    return not _same_in_order(gold.items, value.items)


def _names(value: Value) -> set[str]:
    """Whose values a list gives: x = 1, y = 2 is no list in any order."""
    return {item.name for item in value.items if isinstance(item, Named)} if isinstance(value, Items) else set()


def _same_relation(gold: Value, value: Value) -> bool:
    """Equations are the same where one is a constant times the other; inequalities where that constant is positive."""
    if not isinstance(gold, Relation | Named) or not isinstance(value, Relation | Named):
        raise Undecidable("equation")
    first, second = _as_relation(gold), _as_relation(value)
    if first.sign != second.sign:
        raise Undecidable("equation")
    sides = [parse(text) for text in (first.left, first.right, second.left, second.right)]
    names = frozenset[str]().union(*(side.names for side in sides))
    if not names:
        raise Undecidable("equation")
    ratios: list[Number] = []
    for at in places(names, 4):
        values = [side.value(at) for side in sides]
        above, below = subtract(values[0], values[1]), subtract(values[2], values[3])
        if above == 0 or below == 0:
            raise Undecidable("equation")
        ratios.append(above / below)
    if any(differ(ratio, ratios[0]) for ratio in ratios) or (first.sign != "=" and ratios[0].real <= 0):
        raise Undecidable("equation")
    if {name.lower() for name in names} != names and sides[0].names | sides[1].names != sides[2].names | sides[3].names:
        raise Undecidable("letter_case")
    return True


def _as_relation(value: Relation | Named) -> Relation:
    if isinstance(value, Relation):
        return value
    if not isinstance(value.value, Scalar) or "(" in value.name or not value.name:
        raise Undecidable("equation")
    return Relation("=", value.name, value.value.text)


def _same_quantity(gold: Scalar, value: Scalar) -> bool:
    if are_words(gold.text) or are_words(value.text):
        return same_words(gold.text, value.text)
    if gold.unit.removesuffix("s") == value.unit.removesuffix("s"):
        return same_value(gold.text, value.text)
    if gold.unit and value.unit:
        return _same_measure(gold, value)
    marked, plain = (gold, value) if gold.unit else (value, gold)
    if marked.unit == "%":
        return _same_percentage(marked, plain)
    known = measure(marked.unit)
    if known and known.dimension == "count":
        return _same_count(marked, plain, known.size)
    if known is None and not is_thing(marked.words):
        raise Undecidable("unit")
    equal = same_value(marked.text, plain.text)
    if marked.unit == "°":
        return equal or same_value(rf"\frac{{({marked.text})\pi}}{{180}}", plain.text)
    first, second = exact_number(marked.text), exact_number(plain.text)
    if not equal and first and second:
        ratio = abs(first / second)
        if ratio in CONVERSIONS or 1 / ratio in CONVERSIONS:
            raise Undecidable("unit")
    if not equal and len(marked.unit) == 1:
        raise Undecidable("unit")
    return equal


def _same_count(marked: Scalar, plain: Scalar, size: Fraction) -> bool:
    """5 million is 5,000,000. Beside a plain 5, the question may have asked for millions."""
    if same_value(marked.text, plain.text):
        raise Undecidable("unit")
    return same_value(rf"({marked.text})\cdot {size}", plain.text)


def _same_measure(gold: Scalar, value: Scalar) -> bool:
    """10 m and 1000 cm. Raises Undecidable for units that are not known or do not measure the same."""
    first, second = measure(gold.unit), measure(value.unit)
    if first is None or second is None or first.dimension != second.dimension:
        raise Undecidable("unit")
    if first.size == second.size:
        return same_value(gold.text, value.text)
    exact = exact_number(gold.text), exact_number(value.text)
    if exact[0] is not None and exact[1] is not None:
        return exact[0] * first.size == exact[1] * second.size
    ratio = second.size / first.size
    return same_value(gold.text, rf"\frac{{{ratio.numerator}}}{{{ratio.denominator}}}({value.text})")


def _same_percentage(marked: Scalar, plain: Scalar) -> bool:
    """50 % is 0.5, and 50 where the question asked for percent."""
    percent, number = exact_number(marked.text), exact_number(plain.text)
    if percent is not None and number is not None:
        if percent == number and abs(number) <= 1:
            raise Undecidable("percent")
        if percent not in (number, 100 * number):
            if is_rounding(marked.text, 100 * number) or is_rounding(plain.text, percent / 100):
                raise Undecidable("rounded")
            return False
        return True
    if same_value(marked.text, plain.text):
        if number is None:
            raise Undecidable("percent")
        return True
    return same_value(rf"\frac{{{marked.text}}}{{100}}", plain.text)
