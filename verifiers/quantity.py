"""Reads one number with what stands around it, exactly: sign, separators, fraction, power of ten, percent, unit.

`read` gives every reading that the text allows (1,234 is 1234, or 1.234 where the comma is the decimal mark), the
English one first. Does not compare, and computes nothing but a fraction and a power of ten.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from tracemill.verifiers.normal_text import unwrapped
from tracemill.verifiers.units import measure, spelled

LONGEST = 1000
"""Longest text (characters) that is read."""
LARGEST_EXPONENT = 1000
"""Powers of ten beyond this are not computed."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_LATEX_SPACES = re.compile(r"\\[,;:! ]|~|\\quad|[\u00a0\u2009\u202f]")
_DIGITS = (
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+"
    r"|\d{1,3}(?:[ '’_]\d{3})+(?:[.,]\d+)?|\d+,\d+|\d+\.?\d*|\.\d+)"
)
_FRACTION = r"\\[dt]?frac\{(\d+)\}\{(\d+)\}"
_NUMBER = re.compile(
    rf"(?P<sign>[+-])?\s*(?P<money>[$€£¥₹])?\s*(?P<second>[+-])?(?:(?P<whole>\d+)?\s*{_FRACTION}"
    rf"|(?:(?P<mixed>\d+)\s+)?(?P<above>\d+)\s?/\s?(?P<below>\d+)(?![\d.,/])|(?P<digits>{_DIGITS})(?!\d))"
    r"(?:\s?(?:(?<=\d)[eE]|(?:×|x|\*|·|\\times|\\cdot)\s?10\s?\^)\s?(?:\{(?P<braced>[+-]?\d+)\}|(?P<exponent>[+-]?\d+)))?"
)
_LEAD = re.compile(
    r"^(?:[A-Za-z]\w{0,2}\s*=|≈|\\approx|about\b|approximately\b|approx\.|roughly\b|around\b|circa\b)\s*"
)
_UNIT_LATEX = re.compile(r"\\(?:text|mathrm|textrm|operatorname|rm|mbox)\s*\{([^{}]*)\}|\^\s*\{?\\circ\}?")
_NOT_FINITE = re.compile(r"[+-]?\s*(?:\\infty|∞|inf|infinity|nan)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact number with its unit as written: `m/s`, `%`, `$`, `apples`; empty where there is none."""

    value: Fraction
    unit: str

    @property
    def is_percent(self) -> bool:
        return self.unit == "%"


def read(text: str) -> tuple[Quantity, ...]:
    """The readings of a text that is one number with or without a unit; empty where it is anything else."""
    if len(text) > LONGEST:
        return ()
    plain = _LEAD.sub("", _plain(text), count=1)
    match = _NUMBER.match(plain)
    if match is None or (match["sign"] and match["second"]):
        return ()
    unit = _unit(plain[match.end() :])
    scale = _power(match["braced"] or match["exponent"])
    if unit is None or scale is None:
        return ()
    count, _, thing = unit.partition(" ")
    known = measure(spelled(count)) if count.isalpha() else None
    if known is not None and known.dimension == "count":  # 5 million dollars
        unit, scale = thing, scale * known.size
    if match["money"]:
        if unit not in ("", match["money"]):
            return ()
        unit = match["money"]
    sign = -1 if "-" in (match["sign"], match["second"]) else 1
    return tuple(Quantity(sign * value * scale, unit) for value in _values(match))


def is_not_finite(text: str) -> bool:
    """Whether the text is an infinity or no number at all (nan)."""
    return _NOT_FINITE.fullmatch(_plain(text[:LONGEST])) is not None


def _plain(text: str) -> str:
    """ASCII digits, one kind of minus, no LaTeX spaces; a superscript as ^."""
    text = _LATEX_SPACES.sub(" ", text.replace("{,}", ",").replace("\\%", "%").replace("\\$", "$").replace("−", "-"))
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text)
    text = re.sub(r"^\s*–(?=\s?\d)", "-", text)
    text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    bare = unwrapped(text.replace("٫", ".").replace("٬", ",").replace("µ", "μ"))
    return bare.rstrip(".。, ")


def _values(match: re.Match[str]) -> list[Fraction]:
    """What the digits may mean, the English reading first."""
    above, below = match["above"] or match[5], match["below"] or match[6]
    if below:
        whole = Fraction(int(match["whole"] or match["mixed"] or 0))
        return [whole + Fraction(int(above), int(below))] if int(below) else []
    digits = re.sub(r"[ '’_]", "", match["digits"])
    if "," not in digits:
        if digits.count(".") > 1:
            return [Fraction(digits.replace(".", ""))]
        grouped = re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits)
        return [Fraction(digits), *([Fraction(digits.replace(".", ""))] if grouped else [])]
    english, continental = digits.replace(",", ""), digits.replace(".", "").replace(",", ".")
    if "." in digits:
        return [Fraction(english if digits.index(",") < digits.index(".") else continental)]
    if digits.count(",") > 1:
        return [Fraction(english)]
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        return [Fraction(english), Fraction(continental)]
    return [Fraction(continental)]


def _power(exponent: str | None) -> Fraction | None:
    if exponent is None:
        return Fraction(1)
    if len(exponent) > 5 or abs(int(exponent)) > LARGEST_EXPONENT:
        return None
    return Fraction(10) ** int(exponent)


def _unit(text: str) -> str | None:
    """What follows a number, as a unit; None where it may be more of a formula."""
    rest = _UNIT_LATEX.sub(lambda found: f" {found[1]} " if found[1] is not None else "°", text)
    rest = unwrapped(" ".join(rest.split())).strip("\\ ")
    if rest in ("percent", "per cent", "pct", "％"):
        return "%"
    if re.fullmatch(r"(?:[^\W\d_]|[°%$€£¥₹¢'])(?:[^\W\d_]|(?<=[^\W\d_]|[\^-])\d|[ /·.°^%'-](?!-))*", rest) or not rest:
        return rest
    return None
