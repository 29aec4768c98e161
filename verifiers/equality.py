"""Do two answers say the same? Shapes must match; the expressions in them are compared by `verifiers.expressions`.

What can be read in two ways, or not compared for certain, raises Undecidable: a set for a tuple, another unit, a list
in another bracket, equations that are no multiples of each other.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from tracemill.verifiers.expressions import BASED, REAL_LINE, in_full, parse, same_value
from tracemill.verifiers.grammar import Outside
from tracemill.verifiers.normal_form import exact_number
from tracemill.verifiers.quantities import same_quantity
from tracemill.verifiers.relations import same_relation
from tracemill.verifiers.structure import Items, Named, Relation, Scalar, Unreadable, Value, read
from tracemill.verifiers.verdicts import Undecidable
from tracemill.verifiers.words import are_words, is_prose

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
    except (Unreadable, Undecidable, RecursionError):
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
        return "wrong", f"different: {unit}" if (unit := _lone_unit(gold, value)) else "different"
    if _is_reordered(gold, value):
        return ("undecided", "order") if len(_names(gold)) != len(_names(value)) else ("correct", "reordered")
    return "correct", f"assumed_unit: {unit}" if (unit := _lone_unit(gold, value)) else "equivalent"


def _lone_unit(gold: Value, value: Value) -> str:
    """The unit that only one of them has."""
    if not isinstance(gold, Scalar) or not isinstance(value, Scalar) or bool(gold.unit) == bool(value.unit):
        return ""
    return gold.unit or value.unit


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
        return same_relation(gold, value)
    if isinstance(gold, Named) and isinstance(value, Named):
        return _same_named(gold, value)
    if isinstance(gold, Named):
        return same(gold.value, value)
    if isinstance(value, Named):
        return same(gold, value.value)
    if isinstance(gold, Items) and isinstance(value, Items):
        return _same_items(gold, value)
    if isinstance(gold, Scalar) and isinstance(value, Scalar):
        return same_quantity(gold, value)
    return _same_single(gold, value)


def _same_named(gold: Named, value: Named) -> bool:
    """x = 5 and y = 5 are not decided; y = 2x and x = y/2 are compared as equations."""
    if gold.name.replace(" ", "") == value.name.replace(" ", ""):
        return same(gold.value, value.value)
    if any(isinstance(side.value, Scalar) and not _is_plain(side.value.text) for side in (gold, value)):
        return same_relation(gold, value)
    if same(gold.value, value.value):
        raise Undecidable("variable")
    return False


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
    if group.kind in ("ratio", "to"):
        return _same_quotient(group, single)
    if any(isinstance(item, Scalar) and are_words(item.text) for item in group.items):
        raise Undecidable("words")  # "5, as required"
    texts = [item.text for item in group.items if isinstance(item, Scalar)]
    if group.kind == "list" and single.text in ("".join(texts), ".".join(texts)):
        raise Undecidable("separator")
    if texts and single.text == f"{texts[0]}-{texts[-1]}":
        raise Undecidable("range")
    if any(word in single.text for word in ("mathbb", "emptyset")) or are_words(single.text):
        raise Undecidable("notation")
    return False


def _same_quotient(ratio: Items, single: Scalar) -> bool:
    """2:3 is 2/3. "2 to 3" may be a range, and 1:2:3 is no number."""
    parts = [item.text for item in ratio.items if isinstance(item, Scalar)]
    if len(parts) != 2 or ratio.kind == "to":
        raise Undecidable("kind")
    return same_value(rf"\frac{{{parts[0]}}}{{{parts[1]}}}", single.text)


def _same_items(gold: Items, value: Items) -> bool:
    kinds = {gold.kind, value.kind}
    if kinds <= {"ratio", "to"}:
        return _same_ratio(gold, value)
    if (single := _only_member(gold, value)) is not None:
        return single
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


def _only_member(gold: Items, value: Items) -> bool | None:
    """A set or a list of one point is that point; None where neither is one."""
    for group, other in ((gold, value), (value, gold)):
        if group.kind in ("{}", "list") and len(group.items) == 1 and other.kind not in ("{}", "list"):
            return same(group.items[0], other)
    return None


def _same_ratio(gold: Items, value: Items) -> bool:
    """2:3 and 4:6. "2 to 3" may be a range as well, so it is equal only where it is the same."""
    if _same_in_order(gold.items, value.items):
        return True
    (first, *firsts), (second, *seconds) = (
        [item.text for item in side.items if isinstance(item, Scalar)] for side in (gold, value)
    )
    proportional = len(firsts) == len(seconds) and all(
        same_value(f"({first})\\cdot({there})", f"({second})\\cdot({here})")
        for here, there in zip(firsts, seconds, strict=True)
    )
    if proportional and "to" in (gold.kind, value.kind):
        raise Undecidable("kind")
    return proportional


def _same_member(gold: Value, value: Value) -> bool:
    """Equality within a list, set or point: {1} in a set is not 1."""
    return isinstance(gold, Items) == isinstance(value, Items) and same(gold, value)


def _same_in_order(gold: Sequence[Value], value: Sequence[Value]) -> bool:
    return len(gold) == len(value) and all(_same_member(a, b) for a, b in zip(gold, value, strict=True))


def _same_in_any_order(gold: Sequence[Value], value: Sequence[Value]) -> bool:
    rest = list(value)
    for item in gold:
        match = next((other for other in rest if _same_member(item, other)), None)
        if match is None:
            return False
        rest.remove(match)
    if any(any(_same_member(item, other) for item in gold) for other in rest):
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
