"""What the words and signs after a number mean: a measure that can be converted, or only what was counted.

`measure` knows a closed list of units with their exact sizes (10 m is 1000 cm, 60 km/h is 1 km/min). `is_thing` knows
words that name what was counted (18 apples, 1152 cups of flour): plurals, and whatever follows "of" or "per". All
other words (5 million, 10 below zero, 3 halves, 6 too many) may change the number, so nothing is decided about them.
Temperatures are not converted, currencies not into each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_SIZES: dict[str, dict[str, Fraction | int]] = {
    "length": {
        "m meter metre": 1, "cm centimeter centimetre": Fraction(1, 100),
        "mm millimeter millimetre": Fraction(1, 1000),
        "dm decimeter decimetre": Fraction(1, 10), "km Km kilometer kilometre": 1000,
        "in inch inches": Fraction(254, 10_000), "ft foot feet": Fraction(3048, 10_000),
        "yd yard": Fraction(9144, 10_000),
        "mi mile": Fraction(1_609_344, 1000),
    },
    "mass": {
        "g gram": 1, "kg Kg kilogram": 1000, "mg milligram": Fraction(1, 1000), "tonne": 1_000_000,
        "lb lbs pound": Fraction(45_359_237, 100_000), "oz ounce": Fraction(45_359_237, 1_600_000),
    },
    "time": {
        "s sec second": 1, "min minute": 60, "h hr hrs hour": 3600, "day": 86_400, "week": 604_800,
    },
    "months": {"month": 1, "year": 12, "decade": 120, "century": 1200},
    "volume": {
        "l L liter litre": 1, "ml mL milliliter millilitre": Fraction(1, 1000),
        "cl centiliter centilitre": Fraction(1, 100),
    },
    "us_volume": {
        "cup": 1, "pint": 2, "quart": 4, "gallon": 16, "tablespoon": Fraction(1, 16), "teaspoon": Fraction(1, 48),
    },
    "money:usd": {"dollar USD usd $": 1, "cent ¢": Fraction(1, 100)}, "money:eur": {"euro EUR €": 1},
    "money:gbp": {"GBP £": 1}, "money:yen": {"yen JPY ¥": 1}, "money:inr": {"rupee INR ₹": 1},
    "count": {
        "dozen": 12, "score": 20, "thousand": 1000, "lakh lac": 10**5, "million": 10**6, "crore": 10**7,
        "billion": 10**9, "trillion": 10**12, "googol": 10**100,
    },
    "angle": {"° degree": 1}, "celsius": {"°C celsius": 1}, "fahrenheit": {"°F fahrenheit": 1},
    "kelvin": {"K °K kelvin": 1},
    "hectares": {"hectare": 1}, "acres": {"acre": 1},
}  # fmt: skip
_UNITS = {
    name: (dimension, Fraction(size))
    for dimension, sizes in _SIZES.items()
    for names, size in sizes.items()
    for name in names.split()
}
_SPEEDS = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
_ATOM = re.compile(r"(?:(square|sq|cubic|cu)\.? )?([a-zA-Z]+|°[CFK]?|[$€£¥₹¢])\.?(?:\^([23])| (squared|cubed))?")

_SPELT = re.compile(r"[a-z]{3,}|\b(?:cm|mm|dm|km|kg|mg|ml|cl|ft|yd|lb|oz|hr)\b|[$€£¥₹¢]")
_AFTER_NUMBER = re.compile(r"\d ?([a-z]{1,2}|°)(?![a-z])")

_OTHER_THINGS = {
    "unit", "point", "radian", "joule", "watt", "newton", "volt", "kelvin", "celsius", "fahrenheit", "pence", "penny",
    "pennies", "yuan", "peso", "people", "person", "man", "men", "woman", "women", "child", "children", "fish", "sheep",
    "mice", "geese", "teeth", "money", "cash", "sq", "square", "cubic", "cu", "old", "ton", "mph", "kph",
    "kmh",
}  # fmt: skip
_LINKS = {"of", "per", "a", "an", "the", "each", "every", "total", "in"}
_CHANGING = {
    "hundreds", "thousands", "millions", "billions", "trillions", "dozens", "scores", "halves", "thirds", "fourths",
    "quarters", "fifths", "sixths", "sevenths", "eighths", "ninths", "tenths", "hundredths", "thousandths", "roots",
    "less", "plus", "minus", "times", "versus", "pairs", "squares", "cubes", "is", "was", "as", "this", "always",
    "perhaps", "unless", "besides", "downwards", "upwards", "backwards", "forwards", "minuses", "negatives", "us",
    "has", "does", "plusses", "previous", "afterwards", "factors", "sometimes", "ours", "its", "multiples", "remains",
    "remainders", "inverses", "opposites", "oclock", "towards", "inwards", "outwards", "northwards", "southwards",
    "across", "overseas", "nowadays", "bases", "hundred", "zero", "zeroe", "one", "two", "three",
    "four", "five", "six", "sixe", "seven", "eight", "nine", "ten", "eleven", "twelve", "twelf", "twentie", "thirtie",
    "fortie", "fiftie", "percent", "double", "triple", "factorial", "other", "lac",
    *(name for names in _SIZES["count"] for name in names.split()),
}  # fmt: skip
"""Words, most of them plurals in form, that change the number, or may."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A unit: its dimension (`length`, `length^2`, `length/time`) and its size in that dimension's base unit."""

    dimension: str
    size: Fraction


def spelled(unit: str) -> str:
    """A unit with its words of more than three letters in lower case: MW and mW differ, Meters and meters do not."""
    return re.sub(r"[A-Za-z]+", lambda word: word[0].lower() if len(word[0]) > 3 else word[0], unit.strip(" ."))


def same_unit(first: str, second: str) -> bool:
    """The same but for a plural: apple and apples; not m and ms."""
    plural = re.compile(r"(?<=[a-z]{3})s\b")
    return plural.sub("", first) == plural.sub("", second)


@lru_cache(maxsize=4096)
def measure(unit: str) -> Measure | None:
    """The unit that a text names, as `spelled`: `cm^2`, `square feet`, `km per hour`, `$`; None for anything else."""
    text = _SPEEDS.get(unit.strip(), unit.strip())
    above, slash, below = re.sub(r" ?/ ?| per | an? | each ", "/", text).partition("/")
    first = _power_of_unit(above)
    if first is None or not slash:
        return first
    second = _power_of_unit(below)
    if second is None:
        return None
    return Measure(f"{first.dimension}/{second.dimension}", first.size / second.size)


def _power_of_unit(text: str) -> Measure | None:
    match = _ATOM.fullmatch(text.strip())
    if match is None:
        return None
    name = match[2]
    known = _UNITS.get(name) or (_UNITS.get(name.removesuffix("s")) if len(name) > 3 else None)
    known = known or (_UNITS["century"] if name == "centuries" else None)
    if known is None:
        return None
    power = _POWERS.get(match[1] or match[4] or "", 0) or int(match[3] or 1)
    dimension, size = known
    return Measure(f"{dimension}^{power}" if power > 1 else dimension, size**power)


def asks_otherwise(question: str, unit: str) -> bool:
    """Whether the question speaks of units of the same kind (metres, euros), but not of this one (cm, £)."""
    own = measure(unit)
    if own is None or "/" in own.dimension or own.dimension == "count":
        return False
    kind, _, power = own.dimension.partition("^")
    words = set(_SPELT.findall(question.lower())) | set(_AFTER_NUMBER.findall(question.lower()))
    named = [found for word in words if (found := measure(word))]
    if any(found.dimension != kind and found.dimension.startswith(kind.partition(":")[0]) for found in named):
        return all(found.dimension != kind for found in named)
    sizes = {found.size ** int(power or 1) for found in named if found.dimension == kind}
    return bool(sizes) and own.size not in sizes


def is_thing(words: Sequence[str]) -> bool:
    """Whether these lower-case words name a unit or a thing, for certain enough to compare the number alone."""
    if not words or words[0] in ("of", "per"):
        return False
    linked = False
    named = False
    for word in words:
        thing = _is_listed(word) or (len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "ths")))
        if {word, word.removesuffix("s")} & _CHANGING or not (thing or linked or word in _LINKS):
            return False
        named = named or thing
        linked = word in ("of", "per")
    return named


def is_strange(question: str, unit: str) -> bool:
    """Whether a unit is neither in our lists nor in the question: 7 apples may answer it, 7 fives may be 35."""
    words = re.findall(r"[a-z]+", unit.lower())
    if measure(unit) or all(_is_listed(word) or word in _LINKS for word in words):
        return False
    asked = {_stem(word) for word in re.findall(r"[a-z]+", question.lower())}
    return bool(asked) and not any(_stem(word) in asked for word in words if len(word) > 3)


def _stem(word: str) -> str:
    return word.removesuffix("s").removesuffix("e")


def _is_listed(word: str) -> bool:
    return word in _UNITS or word in _OTHER_THINGS or (len(word) > 3 and word.removesuffix("s") in _UNITS)
