"""Do the words after a number only say what was counted? 18 dollars and 1152 cups of flour do, 10 fewer does not.

A closed list of units, and words that stand as things do: plurals, and whatever follows "of" or "per". All other words
(5 million, 10 below zero, 3 halves, 6 too many) may change the number, so nothing is decided about them.
"""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = {
    "m", "cm", "mm", "km", "dm", "g", "kg", "mg", "l", "ml", "cl", "ft", "foot", "feet", "in", "inch", "inches", "yd",
    "yard", "mi", "mile", "lb", "lbs", "oz", "ounce", "pound", "ton", "tonne", "h", "hr", "hrs", "s", "sec", "second",
    "min", "minute", "hour", "day", "week", "month", "year", "decade", "century", "meter", "metre", "centimeter",
    "centimetre", "millimeter", "kilometer", "kilometre", "liter", "litre", "milliliter", "millilitre", "gram",
    "kilogram", "milligram", "cup", "pint", "quart", "gallon", "teaspoon", "tablespoon", "acre", "hectare", "mph",
    "kph", "kmh", "unit", "point", "degree", "radian", "joule", "watt", "newton", "volt", "kelvin", "celsius",
    "fahrenheit", "dollar", "usd", "euro", "eur", "pence", "penny", "pennies", "rupee", "yen", "yuan", "peso",
    "people", "person", "man", "men", "woman", "women", "child", "children", "fish", "sheep", "mice", "geese",
    "teeth", "money", "cash", "sq", "square", "cubic", "cu", "percent", "old",
}  # fmt: skip
_LINKS = {"of", "per", "a", "an", "the", "each", "every", "total", "in"}
_CHANGING = {
    "hundreds", "thousands", "millions", "billions", "trillions", "dozens", "scores", "halves", "thirds", "fourths",
    "quarters", "fifths", "sixths", "sevenths", "eighths", "ninths", "tenths", "hundredths", "thousandths", "roots",
    "less", "plus", "minus", "times", "versus", "pairs", "squares", "cubes", "is", "was", "as", "this", "always",
    "perhaps", "unless", "besides", "downwards", "upwards", "backwards", "forwards", "minuses", "negatives", "us",
    "has", "does", "plusses", "previous", "afterwards", "factors", "sometimes", "ours", "its", "multiples", "remains",
    "remainders", "inverses", "opposites", "oclock", "towards", "inwards", "outwards", "northwards", "southwards",
    "across", "overseas", "nowadays", "bases", "tens", "ones", "twos", "cents",
}  # fmt: skip
"""Plurals in form that change the number, or may."""


def is_thing(words: Sequence[str]) -> bool:
    """Whether these lower-case words name a unit or a thing, for certain enough to compare the number alone."""
    if not words or words[0] in ("of", "per"):
        return False
    linked = False
    named = False
    for word in words:
        thing = word in _UNITS or (len(word) > 3 and word.endswith("s") and not word.endswith("ss"))
        if word in _CHANGING or not (thing or linked or word in _LINKS):
            return False
        named = named or thing
        linked = word in ("of", "per")
    return named
