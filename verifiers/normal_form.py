"""Writes a mathematical answer in one way: the same number, however it was typeset, gives the same text.

Pure text work, about 20 µs: delimiters, spacing, fraction commands, symbols, thousands separators. Does not compute;
`exact_number` reads literals only (integers, decimals, fractions, mixed numbers, powers of ten), never an expression.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache

_SYMBOLS = str.maketrans(
    {
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": r"\div ", "π": r"\pi ", "∞": r"\infty ",
        "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∈": r"\in ", "≈": r"\approx ", "…": r"\ldots ",
        "º": "°", "θ": r"\theta ", "±": r"\pm ", "∅": r"\emptyset ", "\u00a0": " ",
        "\u202f": " ", "\u2009": " ",
    }
)  # fmt: skip


def _listed_text(match: re.Match[str]) -> str:
    r"""\text{A, B} is a list of two."""
    return ",".join(f"\\text{{{word}}}" for word in re.findall(r"[A-Za-z]+", match[1]) if word != "and")


_REWRITES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"(?<!\\)\$|\\checkmark(?![a-zA-Z])|✓", ""),
        (r"^\s*[\"“](.*)[\"”]\s*$", r"\1"),
        (r"(?<=[\d)}\]])[\"”]|[\"“](?=[\d(\\-])", ""),
        (r"\\\$", "$"),
        (r"(?<=\d)(?:,\s*\\!\s*|')(?=\d{3}(?!\d))", ","),
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\(?:left|right)\s*\.|\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits)(?![a-zA-Z])", ""),
        (r"(?<!\\)\\[!,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
        (r"(?<=\d)\{,\}(?=\d)", ","),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\frac\s*(\d|\\pi)\s*(\d|\\pi)(?!\d)", r"\\frac{\1}{\2}"),
        (
            r"\\(?:text(?:bf|it|rm|normal|sf)?|mbox|mathrm|mathit|mathsf|operatorname)\s*\{\s*([^{}]*?)\s*\}",
            r"\\text{\1}",
        ),
        (
            r"\\text\{[Aa]ll real numbers\}|\b[Aa]ll real numbers\b|(?:\\math(?:bb|bf)(?: R|\{R\})|ℝ)(?!\s*[\^_])",
            r"(-\\infty,\\infty)",
        ),
        (r"\\(?:mathbf|boldsymbol|bm|vec)\s*\{(?![ijk]\})([^{}]*)\}", r"{\1}"),  # \mathbf{i} is no imaginary unit
        (r"\\text\{\(([A-Za-z])\)\}", r"(\1)"),
        (r"\\text\{,? ?(or|and)\}|(?<![A-Za-z\\])(or|and)(?![A-Za-z])", lambda m: f" \\{m[1] or m[2]} "),
        (r"(?i)\\text\{infinity\}|(?<![a-z\\])infinity(?![a-z])", r"\\infty "),
        (r"\\text\{([A-Za-z]+(?: ?, ?(?:\\?and )?[A-Za-z]+)+)\}", _listed_text),
        (r"\\text\{(\d[\d.,]*) ([A-Za-z][A-Za-z ]*)\}", r"\1 \\text{\2}"),
        (r"(?<=\d) ?(?:\\text\{to\}|\bto\b) ?(?=\d)", r"\\to "),
        (r"(?<![\d})])(?<![\d})] )\\text\{([A-Za-z]?|-?[\d.,]+)\}", r" \1 "),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree(?![a-zA-Z])", "°"),
        (r"°\s*(?:\\text\{)?([CFK])\}?(?![a-zA-Z])", r"°\1"),
        (r"\\%", "%"),
        (r"_(\d{2,})(?![\d}])", r"_{\1}"),
        (r"(?<=\d) ?[xX] ?(?=10\s*\^)", r"\\times "),
        (r"\\leq(?:slant)?(?![a-zA-Z])", r"\\le "),
        (r"\\geq(?:slant)?(?![a-zA-Z])", r"\\ge "),
        (r"\\neq(?![a-zA-Z])", r"\\ne "),
        (r"\\(?:dots[a-z]?|cdots|ldots)(?![a-zA-Z])|\.{3,}", r"\\ldots "),
        (r"\\(?:lbrace|rbrace)(?![a-zA-Z])", lambda m: "\\{" if m[0] == "\\lbrace" else "\\}"),
        (r"\*\*", "^"),
        (r"(?:√|(?<![A-Za-z\\])sqrt) ?(\d+)", r"\\sqrt{\1}"),
        (r"√", r"\\sqrt "),
        (
            r"(?<![A-Za-z\\])(sqrt|pi|sin|cos|tan|cot|sec|csc|log|ln|arcsin|arccos|arctan|theta|infty)(?![A-Za-z])",
            r"\\\1",
        ),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\sqrt\s*(\d)(?!\d)", r"\\sqrt{\1}"),
        (r"(?<=\d)[eE]([+-]?\d+)(?![\w.])", r"\\times 10^{\1}"),
        (r"(?:(?<=frac\{)|(?<=\}\{))\d{1,3}(?:,\d{3})+(?=\})", lambda m: m[0].replace(",", "")),
        (r"\s+", " "),
        (r"(?<=\d), (?=\d{3}(?!\d))", ";"),
        (r" ?([^\w\s\\]) ?", r"\1"),
        (r" (?=\\)|(?<=[,=]) ", ""),
    )
)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:([, ])\d{3})(?:\1\d{3})*(?:\.\d+)?")
_DIGITS = r"(\d+(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(rf"([+-]?){_DIGITS}(?:\\(?:times|cdot) ?10\^(?:\{{([+-]?\d{{1,3}})\}}|(\d)))?")
_FRACTION = re.compile(rf"([+-]?)(?:\\frac\{{([+-]?){_DIGITS}\}}\{{([+-]?){_DIGITS}\}}|{_DIGITS}/{_DIGITS})")
_MIXED = re.compile(r"([+-]?)(\d+)(?:\\frac\{(\d+)\}\{(\d+)\}| (\d+)/(\d+))")
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)\\overline\{(\d+)\}")
_DOLLARS = re.compile(r"^([+-]?)\$")
_EUROPEAN = re.compile(r"([+-]?)([1-9]\d{0,2}(?:\.\d{3})+)(?:,(\d+))?|([+-]?)(\d+),(\d+)")
_CERTAINLY_EUROPEAN = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})")
_INDIAN = re.compile(r"[+-]?\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")
LONGEST_NUMBER = 1000
"""Longer literals are left to the worker and its deadline."""


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """One spelling of an answer. Idempotent on what it writes; empty where nothing but marks was there."""
    text = (text if text.isascii() else _ascii_digits(text)).translate(_SYMBOLS)
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    text = text.strip().rstrip(".,;:").strip()
    return text.removeprefix("=").removeprefix("+")


def _ascii_digits(text: str) -> str:
    """10⁻³ as 10^{-3}, 1½ as 1\\frac{1}{2}, full-width characters as the usual ones; without what has no width."""
    text = re.sub("[\u00ad\u200b-\u200d\u2060\ufeff]", "", text)
    text = re.sub("[\uff01-\uff5e]", lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = re.sub("[⁺⁻]?[⁰¹²³⁴-⁹]+", lambda match: f"^{{{_plain_digits(match[0])}}}", text)
    text = re.sub("_?[₀-₉]+", lambda match: f"_{{{_plain_digits(match[0].lstrip('_'))}}}", text)
    return re.sub("[¼-¾⅐-⅞]", lambda match: "\\frac{{{}}}{{{}}}".format(*_plain_digits(match[0]).split("⁄")), text)


def _plain_digits(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("−", "-")


def is_grouped(text: str) -> bool:
    """A number with thousands separators (1,234); as it stands, it could be a list of numbers too."""
    return _THOUSANDS.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def exact_number(text: str) -> Fraction | None:
    """The exact value of a normalised literal; None for anything that needs computing or is no number."""
    if len(text) > LONGEST_NUMBER:
        return None
    text = _DOLLARS.sub(r"\1", text)
    if is_grouped(text) or _INDIAN.fullmatch(text):
        text = text.replace(",", "").replace(" ", "")
    if _CERTAINLY_EUROPEAN.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    if match := _NUMBER.fullmatch(text):
        exponent = int(match[3] or match[4] or 0)
        return _signed(Fraction(Decimal(match[2])) * Fraction(10) ** exponent, match[1])
    if match := _FRACTION.fullmatch(text):
        above, below = match[3] or match[6], match[5] or match[7]
        signs = match[1] + (match[2] or "") + (match[4] or "")
        return _quotient(Fraction(Decimal(above)), Fraction(Decimal(below)), signs)
    if match := _MIXED.fullmatch(text):
        part = _quotient(Fraction(int(match[3] or match[5])), Fraction(int(match[4] or match[6])), "")
        return None if part is None else _signed(int(match[2]) + part, match[1])
    if match := _REPEATING.fullmatch(text):
        whole, fixed, cycle = match[2] or "0", match[3], match[4]
        repeated = Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(fixed))
        return _signed(Fraction(Decimal(f"{whole}.{fixed}0")) + repeated, match[1])
    return None


def other_readings(text: str) -> set[Fraction]:
    """What a literal means to those who write a decimal comma: 1.234 is 1234, 3,5 is 3.5."""
    match = _EUROPEAN.fullmatch(text)
    if match is None:
        return set()
    sign, whole, decimals = match[1] or match[4] or "", match[2] or match[5], match[3] or match[6] or "0"
    return {_signed(Fraction(Decimal(f"{whole.replace('.', '')}.{decimals}")), sign)}


def _signed(value: Fraction, signs: str) -> Fraction:
    return -value if signs.count("-") % 2 else value


def _quotient(above: Fraction, below: Fraction, signs: str) -> Fraction | None:
    return _signed(above / below, signs) if below else None


def is_rounding(literal: str, value: Fraction) -> bool:
    """`literal` is a decimal of at least three significant digits that `value` rounds to, and not the value itself."""
    digits = literal.lstrip("+-").replace(",", "")
    whole, point, decimals = digits.partition(".")
    if not point or not (whole + decimals).isdigit() or len((whole + decimals).lstrip("0")) < 3:
        return False
    shown = Fraction(Decimal(f"{whole or '0'}.{decimals}"))
    exact = Decimal(abs(value).numerator) / Decimal(abs(value).denominator)
    step = Decimal(1).scaleb(-len(decimals))
    if shown == abs(value) or literal.startswith("-") != (value < 0) or exact.adjusted() + len(decimals) > 25:
        return False
    return any(Fraction(exact.quantize(step, mode)) == shown for mode in (ROUND_HALF_UP, ROUND_HALF_EVEN))
