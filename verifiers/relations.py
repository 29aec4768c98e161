"""Whether two equations or inequalities say the same: one is a multiple of the other, at every point that is tried.

Equations that are no multiples of each other may still have the same solutions: those are not decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from tracemill.verifiers.expressions import parse, places
from tracemill.verifiers.formula import PRECISIONS, Evaluable, Number, agree, combine, is_positive
from tracemill.verifiers.structure import Named, Relation, Scalar, Value
from tracemill.verifiers.verdicts import Undecidable


def same_relation(gold: Value, value: Value) -> bool:
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
    first_at, *others = places(names, 4)
    for at in others:
        if not agree(_product(sides, first_at, at), _product(sides[2:] + sides[:2], first_at, at)):
            raise Undecidable("equation")
    if first.sign != "=" and not is_positive(combine("/", *_gaps(sides, first_at, PRECISIONS[0]), PRECISIONS[0])):
        raise Undecidable("equation")
    if sides[0].names | sides[1].names != sides[2].names | sides[3].names:
        raise Undecidable("letter_case")
    return True


def _gaps(sides: Sequence[Evaluable], at: dict[str, Fraction], bits: int) -> tuple[Number, Number]:
    """Left less right of both relations. Raises Undecidable where one holds there: it says nothing of the other."""
    values = [side.value(at, bits) for side in sides]
    gaps = combine("-", values[0], values[1], bits), combine("-", values[2], values[3], bits)
    if any(gap == 0 if isinstance(gap, Fraction) else gap.contains(0) for gap in gaps):
        raise Undecidable("equation")
    return gaps


def _product(
    sides: Sequence[Evaluable], here: dict[str, Fraction], there: dict[str, Fraction]
) -> Callable[[int], Number]:
    """The first relation's gap here times the second's there; the same both ways round for multiples of each other."""
    return lambda bits: combine("*", _gaps(sides, here, bits)[0], _gaps(sides, there, bits)[1], bits)


def _as_relation(value: Relation | Named) -> Relation:
    if isinstance(value, Relation):
        return value
    if not isinstance(value.value, Scalar) or "(" in value.name or not value.name:
        raise Undecidable("equation")
    return Relation("=", value.name, value.value.text)
