"""Is the final answer the reference's number, within the tolerance that the reference gives?

The reference is a number with or without a unit; "3.14 ± 0.01" or "100 ± 5%"; "3.14 (1%)"; or JSON {"value": 3.14,
"abs": 0.01, "rel": 0.01, "unit": "m"}. A tolerance includes its ends; of two, either suffices; `rel` is a share of the
reference. Without one, equality counts: 0.33 is not 1/3. All arithmetic is exact.

Read: 1,234.5; 1 234; 1.234.567,8; 1.5e3; 1.5 × 10^3; 3/4; 1 1/2; \\frac{3}{4}; $5; ٣; 5 million. 1,234 is 1234
(UNDECIDED `separator` where it would be right as 1.234). 50% is 0.5; 50 for 50% is UNDECIDED `percent`. Units of
length, mass, time, volume and money are converted (`units`); a missing unit, or the name of what was counted, does not
matter, unless the question asks for another one or it is a temperature; any other difference of units is UNDECIDED
`unit`. Infinity and nan are WRONG. A text that is no plain number is UNDECIDED `not_a_number`, an own ± in the answer
`uncertainty`, an answer that the text goes back on `second_thought`. Not covered: formulas (see `math`), number words,
conversion of temperatures.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.extraction import extract
from tracemill.verifiers.quantity import LONGEST, Quantity, is_not_finite, read
from tracemill.verifiers.retractions import is_reconsidered
from tracemill.verifiers.units import asks_otherwise, is_strange, is_thing, measure, same_unit, spelled
from tracemill.verifiers.verdicts import Undecidable, verdict

_TOLERANCE = re.compile(r"(.*?)\s*\(\s*(?:±\s*)?([\d.]+\s*\\?%)\s*\)|(.*?)\s*(?:±|\+/-|\+-|\\pm)\s*(.*)", re.DOTALL)
_NUMERIC = re.compile(
    r"\d|\\(?:pi|sqrt|frac)|[π√½⅓¼¾一二三四五六七八九十百千]|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|none|dozen)\b",
    re.IGNORECASE,
)
_CONFUSED = {Fraction(factor) ** sign for factor in (60, 3600, 24, 12, 7, 365) for sign in (1, -1)}
_CONFUSED |= {Fraction(10) ** power for power in range(-12, 13) if power}
"""Ratios of values that a unit left out may explain."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A reference: a quantity, and how far from it an answer may be (in its unit)."""

    quantity: Quantity
    tolerance: Fraction = Fraction(0)

    def takes(self, value: Fraction) -> bool:
        return abs(value - self.quantity.value) <= self.tolerance


@dataclass(frozen=True, slots=True)
class Numeric:
    """Judges the final answer's number against that of `Prompt.reference`."""

    name: ClassVar[str] = "numeric"
    version: ClassVar[str] = "2"
    reference_is_answer: ClassVar[bool] = True

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's final answer. Raises Undecidable."""
        gold = gold_of(prompt.reference)
        found = extract(trace.answer)
        if found.text is None:
            return verdict(self, trace, Outcome.UNPARSED, found.reason)
        if is_reconsidered(trace.answer, found.text):
            raise Undecidable("second_thought")
        outcome, reason = _judge(found.text, prompt.reference, gold, prompt.text)
        return verdict(self, trace, outcome, reason, found.text[:LONGEST])


def _judge(text: str, reference: str, gold: Gold, question: str) -> tuple[Outcome, str]:
    if text.strip() == reference.strip():
        return Outcome.CORRECT, "equal"
    if is_not_finite(text):
        return Outcome.WRONG, "not_finite"
    readings = read(text)
    if not readings:
        if len(text) <= LONGEST and not _NUMERIC.search(text):
            return Outcome.UNPARSED, "no_number"
        parts = _parts(text)
        return Outcome.UNDECIDED, "uncertainty" if parts and read(parts[0]) else "not_a_number"
    outcome, reason = _compare(readings[0], gold, question)
    if outcome is Outcome.WRONG and any(
        _compare(other, gold, question)[0] is Outcome.CORRECT for other in readings[1:]
    ):
        return Outcome.UNDECIDED, "separator"
    return outcome, reason


def _compare(answer: Quantity, gold: Gold, question: str) -> tuple[Outcome, str]:
    own, other = gold.quantity.unit, answer.unit
    if gold.quantity.is_percent or answer.is_percent:
        return _percent(answer, gold)
    within = gold.takes(answer.value)
    if same_unit(spelled(own), spelled(other)):
        return (Outcome.CORRECT, "equal") if within else (Outcome.WRONG, "different")
    if own and other:
        here, there = measure(spelled(own)), measure(spelled(other))
        if here is None or there is None or here.dimension != there.dimension:
            return Outcome.UNDECIDED, "unit"
        converted = gold.takes(answer.value * there.size / here.size)
        return (Outcome.CORRECT, "converted") if converted else (Outcome.WRONG, "different")
    if _may_change_the_number(own or other, question):
        return Outcome.UNDECIDED, "unit"
    if within:
        return Outcome.CORRECT, "equal"
    ratio = answer.value / gold.quantity.value if gold.quantity.value else Fraction(0)
    return (Outcome.UNDECIDED, "unit") if ratio in _CONFUSED else (Outcome.WRONG, "different")


def _percent(answer: Quantity, gold: Gold) -> tuple[Outcome, str]:
    """50% is 0.5. That 50 for 50%, or 0.5% for 0.5, is meant as the same number cannot be told."""
    if not {answer.unit, gold.quantity.unit} <= {"%", ""}:
        return Outcome.UNDECIDED, "unit"
    if gold.takes(answer.value):
        return (Outcome.CORRECT, "equal") if answer.unit == gold.quantity.unit else (Outcome.UNDECIDED, "percent")
    if answer.unit == gold.quantity.unit:
        return Outcome.WRONG, "different"
    scaled = answer.value * (Fraction(1, 100) if answer.is_percent else 100)
    return (Outcome.CORRECT, "equal") if gold.takes(scaled) else (Outcome.WRONG, "different")


def _may_change_the_number(unit: str, question: str) -> bool:
    """Whether a unit that stands on one side only may be more than its name: 7 twelfths, 5 K, 7 fives, 7 m for feet."""
    known = measure(spelled(unit))
    if known is None and not is_thing(unit.lower().split()):
        return True
    is_temperature = known is not None and known.dimension in ("celsius", "fahrenheit", "kelvin")
    return is_temperature or is_strange(question, unit) or asks_otherwise(question, spelled(unit))


@lru_cache(maxsize=4096)
def gold_of(reference: str) -> Gold:
    """The quantity and tolerance of a reference. Raises Undecidable (`bad_reference`)."""
    text = reference.strip()
    if text.startswith("{"):
        return _from_json(text)
    parts = _parts(text)
    if not parts:
        return Gold(_only(text))
    quantity, margin = map(_only, parts)
    if margin.is_percent and not quantity.is_percent:
        return Gold(quantity, _checked(margin.value) * abs(quantity.value) / 100)
    if margin.unit and not quantity.unit:
        quantity = Quantity(quantity.value, margin.unit)
    if margin.unit not in ("", quantity.unit):
        raise Undecidable("bad_reference: the tolerance has another unit")
    return Gold(quantity, _checked(margin.value))


def _parts(text: str) -> list[str]:
    """What stands before and after a ±, or before and in brackets; empty where there is neither."""
    match = _TOLERANCE.fullmatch(text) if len(text) <= LONGEST else None
    return [part for part in match.groups() if part is not None] if match else []


def _from_json(text: str) -> Gold:
    try:
        fields = json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Undecidable("bad_reference: not JSON") from None
    if not isinstance(fields, dict) or "value" not in fields or not set(fields) <= {"value", "abs", "rel", "unit"}:
        raise Undecidable('bad_reference: JSON needs "value" and may have "abs", "rel", "unit"')
    if not all(isinstance(one, str) for one in fields.values()):
        raise Undecidable("bad_reference: not a number")
    quantity = _only(f"{fields['value']} {fields.get('unit', '')}")
    absolute, relative = (_checked(_only(fields.get(name, "0")).value) for name in ("abs", "rel"))
    return Gold(quantity, max(absolute, relative * abs(quantity.value)))


def _refuse(_: str) -> Any:
    raise Undecidable("bad_reference: not a finite number")


def _only(text: str) -> Quantity:
    if is_not_finite(text):
        raise Undecidable("bad_reference: not a finite number")
    readings = read(text)
    if not readings:
        raise Undecidable("bad_reference: not a number")
    return readings[0]


def _checked(tolerance: Fraction) -> Fraction:
    if tolerance < 0:
        raise Undecidable("bad_reference: a negative tolerance")
    return tolerance


plugin = Numeric()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
EXAMPLES = (
    VerifierExample("The answer is 3.145.", "3.14 ± 0.01", R, "right: within ±"),
    VerifierExample("3.17", "3.14 (1%)", R, "right: within a share"),
    VerifierExample("\\boxed{1{,}234.50}", "1234.5", R, "right: a thousands separator"),
    VerifierExample("$1.5 \\times 10^{3}$", "1500", R, "right: scientific notation"),
    VerifierExample("1000 cm", '{"value": 10, "unit": "m"}', R, "right: a unit converted"),
    VerifierExample("18", "18 dollars", R, "right: without the unit"),
    VerifierExample("50%", "0.5", R, "right: percent as a share"),
    VerifierExample("3.16", "3.14 ± 0.01", W, "wrong: beyond ±"),
    VerifierExample("0.33", "1/3", W, "wrong: rounded, and no tolerance given"),
    VerifierExample("0.30000000000000004", "0.3", W, "adversarial: equal as floats only"),
    VerifierExample("inf", "5 ± 1000000", W, "adversarial: infinity"),
    VerifierExample("1,234", "1.234", U, "adversarial: a comma that may be a decimal mark"),
    VerifierExample("50", "50%", U, "adversarial: a percent sign left out"),
    VerifierExample("10 N", "10 m", U, "adversarial: another unit"),
    VerifierExample("7", "7 twelfths", U, "adversarial: a word that changes the number"),
    VerifierExample("7 pears", "7", U, "adversarial: what nobody asked for", prompt="How many apples are left?"),
    VerifierExample("The answer is 5. Wait, it is 6.", "5", N, "adversarial: taken back"),
    VerifierExample("5!", "5", U, "adversarial: a factorial or emphasis"),
    VerifierExample("5 or 6", "5", N, "adversarial: two numbers"),
    VerifierExample("no idea", "5", N, "adversarial: no number"),
    VerifierExample("3 ± 100", "5 ± 1", U, "adversarial: a margin of its own"),
    VerifierExample("5", "nan", U, "adversarial: a reference that is no number"),
)
