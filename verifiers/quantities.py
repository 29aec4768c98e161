"""Whether two single values with their units are the same: 10 m and 1000 cm, 50 % and 0.5, 5 million, 90° and π/2.

A unit on one side only is taken as meant; `verifiers.math` then looks at the question. What cannot be told from the
values raises Undecidable.
"""

from __future__ import annotations

from fractions import Fraction

from tracemill.verifiers.expressions import same_value
from tracemill.verifiers.normal_form import exact_number, is_rounding
from tracemill.verifiers.structure import Scalar
from tracemill.verifiers.units import is_thing, measure, same_unit
from tracemill.verifiers.verdicts import Undecidable
from tracemill.verifiers.words import are_words, same_words

CONVERSIONS = {Fraction(n) for n in (2, 3, 4, 7, 10, 12, 16, 24, 30, 36, 52, 60, 100, 144, 365, 1000, 1440, 3600, 5280)}
"""A ratio between values of which one has a unit: perhaps the same quantity in another unit."""


def same_quantity(gold: Scalar, value: Scalar) -> bool:
    """Whether both say the same. Raises Undecidable where that cannot be told."""
    if are_words(gold.text) or are_words(value.text):
        return same_words(gold.text, value.text)
    if same_unit(gold.unit, value.unit):
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
