"""Reads the shape of a normalised answer: numbers and expressions, lists, tuples, sets, intervals, matrices, equations.

Text work only; the expressions inside stay text until `verifiers.equality` parses them. What it cannot read for
certain raises: Unreadable where the text is no answer, Undecidable where it is one beyond this module (ellipses, set
builders, approximations).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tracemill.verifiers.normal_form import is_grouped
from tracemill.verifiers.units import spelled
from tracemill.verifiers.verdicts import Undecidable


class Unreadable(Exception):
    """The text is not mathematics; `args[0]` says where it stopped."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One expression, with the unit that stands with it (`%`, `°C`, `€`, words as `units.spelled`, `cm^2`)."""

    text: str
    unit: str = ""
    words: tuple[str, ...] = ()
    """The words of the unit as they stood, in lower case; their plurals tell things from directions."""


@dataclass(frozen=True, slots=True)
class Items:
    """Several values.

    `kind` is the brackets as written (`()`, `[)`, `{}`), or `list`, `union`, `vector` (a column), `row`, `matrix`,
    `ratio`, `to` (2 to 3: a ratio or a range).
    """

    kind: str
    items: tuple[Value, ...]
    interval: bool = False
    """It is an interval or a union of them for certain; `(1,2)` may be a point."""


@dataclass(frozen=True, slots=True)
class Named:
    """`name = value`, `name in value`, and inequalities of one variable, whose value is then an interval."""

    name: str
    value: Value
    steps: tuple[Value, ...] = ()
    """What stood between them in `x = 6/2 = 3`; must equal the value for the whole to say anything.

    `name` is empty in a bare chain, `2 + 3 = 5 = 5`.
    """


@dataclass(frozen=True, slots=True)
class Relation:
    """Any other equation or inequality of two sides."""

    sign: str
    left: str
    right: str


Value = Scalar | Items | Named | Relation

_CLOSERS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "\\langle": "\\rangle"}
_TOKEN = re.compile(r"\\langle|\\rangle|\\begin\{\w+\}|\\end\{\w+\}|\\text\{[^{}]*\}|\\[a-zA-Z]+|\\.|.", re.DOTALL)
_OPEN = {"(", "[", "{", "\\{", "\\langle"}
_CLOSE = {")", "]", "}", "\\}", "\\rangle"}
_BEYOND = re.compile(
    r"\\(?:ldots|approx|sim|equiv|pmod|mod|mp|prime|setminus|forall|exists|mid|mathbf|vec|hat|bm|boldsymbol|begin\{[vV]matrix\})|['\"]"
    r"|\\(?:angle|triangle|square|overrightarrow|widehat|overline\{[A-Za-z])"  # figures have names, not values
)
_SIGNS = {"=", "<", ">", "\\le", "\\ge", "\\ne", "\\in"}
_NAME = re.compile(r"(?:\\[a-zA-Z]+|[A-Za-z]+|\\text\{[^{}]*\})(?:_\{?\w+\}?)?(?:\([a-z](?:,[a-z])*\))?")
_VARIABLE = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?")
_LETTER = re.compile(r"[a-df-hj-zA-Z](?:_\{?\w+\}?)?")
_MATRIX = re.compile(r"\\begin\{([pbB]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_KNOWN = "cm|mm|km|kg|mg|ml|mL|ft|in|lb|lbs|oz|hr|hrs|min|am|pm"
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|arc[a-z]+|log|ln)(?![a-z])")
_UNIT = re.compile(
    r"(?P<value>.*(?:[\d})]|\\pi ?))(?:(?P<mark>°[CFK]?|[%€£¥₹¢])"
    r"| ?(?:\\text\{(?P<text>[A-Za-z][A-Za-z /.]*(?:\^\d)?)\}"
    rf"|(?P<bare>(?:{_KNOWN}|(?<= )[mgshL]|[A-Za-z]{{3,}})(?:[ /][A-Za-z]+){{0,2}})))(?P<power>\^\{{?[23]\}}?)?",
    re.DOTALL,
)
_CURRENCY = re.compile(r"([+-]?)([$€£¥₹])(.*[\d})])")
_BUILDER = re.compile(
    r"\\\{(?P<name>[a-zA-Z])(?:\\in ?\(-\\infty,\\infty\))?(?:\\mid ?|\||:)(?P<condition>.*)\\\}", re.DOTALL
)
_POINT_NAME = re.compile(r"\([a-zA-Z](?:_\{?\w\}?)?(?:,[a-zA-Z](?:_\{?\w\}?)?)+\)")


def read(text: str) -> Value:
    """The shape of a normalised answer. Raises Unreadable or Undecidable."""
    text = text.strip()
    if not text:
        raise Unreadable("empty")
    if (found := _BEYOND.search(text)) and not _BUILDER.fullmatch(text):
        raise Undecidable("ellipsis" if found[0] == "\\ldots" else "notation")
    if is_grouped(text):
        return Scalar(text.replace(",", "").replace(" ", ""))
    if (money := _CURRENCY.fullmatch(text)) and (is_grouped(money[3]) or not re.search("[,;=<>]", money[3])):
        return Scalar(money[1] + money[3].replace(",", ""), money[2], (money[2],))
    tokens = _TOKEN.findall(text)
    parts, joints = _split(tokens, {",", ";", "\\or", "\\and"})
    if len(parts) > 1:
        return _listed([part for part in parts if part.strip()], joints)
    for kind, mark in (("ratio", ":"), ("to", "\\to")):
        parts, _ = _split(tokens, {mark})
        if len(parts) > 1:
            return Items(kind, tuple(_quantities(parts)))
    parts, _ = _split(tokens, {"\\cup"})
    if len(parts) > 1:
        return Items("union", tuple(read(part) for part in parts), interval=True)
    parts, signs = _split(tokens, _SIGNS)
    if len(parts) > 1:
        return _related(parts, signs)
    if builder := _BUILDER.fullmatch(text):
        return _built(builder["name"], read(builder["condition"]))
    return _matrix(text) or _bracketed(tokens) or _signed_pair(text) or _scalar(text)


def _quantities(parts: list[str]) -> Iterator[Value]:
    for part in parts:
        value = read(part)
        if not isinstance(value, Scalar) or value.unit:
            raise Undecidable("notation")
        yield value


def _split(tokens: list[str], marks: set[str]) -> tuple[list[str], list[str]]:
    """The text between the marks that stand outside all brackets, and those marks."""
    parts, found, depth = [""], list[str](), 0
    for token in tokens:
        depth += (token in _OPEN or token.startswith("\\begin")) - (token in _CLOSE or token.startswith("\\end"))
        if depth == 0 and token in marks:
            found.append(token)
            parts.append("")
        else:
            parts[-1] += token
    return parts, found


def _listed(parts: list[str], joints: list[str]) -> Value:
    values = tuple(read(part) for part in parts)
    if len(values) == 1:
        return values[0]
    ranges = [value for value in values if isinstance(value, Named) and _is_range(value.value)]
    if not ranges:
        return Items("list", values)
    if len(ranges) < len(values) or set(joints) != {"\\or"} or len({value.name for value in ranges}) > 1:
        raise Undecidable("inequalities")
    return Named(ranges[0].name, Items("union", tuple(value.value for value in ranges), interval=True))


def _built(name: str, condition: Value) -> Value:
    """{x | x > 3} is the interval that its condition gives."""
    if isinstance(condition, Named) and condition.name == name and _is_range(condition.value):
        return condition.value
    raise Undecidable("notation")


def _is_range(value: Value) -> bool:
    return isinstance(value, Items) and value.interval


def _related(parts: list[str], signs: list[str]) -> Value:
    parts = [part.strip() for part in parts]
    if set(signs) == {"="}:
        if _NAME.fullmatch(parts[0]):
            steps = tuple(read(part) for part in parts[1:-1] if not _LETTER.fullmatch(part))  # x = y = 5
            return Named(parts[0], read(parts[-1]), steps)
        if len(parts) == 2 and _POINT_NAME.fullmatch(parts[0]):
            return Named(parts[0], read(parts[1]))
        if len(parts) == 2:
            return Relation("=", parts[0], parts[1])
        return Named("", read(parts[-1]), tuple(read(part) for part in parts[:-1]))
    if signs == ["\\in"]:
        return Named(parts[0], read(parts[1]))
    if set(signs) <= {"<", "\\le"} or set(signs) <= {">", "\\ge"}:
        return _inequality(parts, signs)
    raise Undecidable("notation")


def _inequality(parts: list[str], signs: list[str]) -> Value:
    if signs[0] in (">", "\\ge"):
        parts, signs = parts[::-1], [{">": "<", "\\ge": "\\le"}[sign] for sign in signs[::-1]]
    if len(parts) == 2 and _VARIABLE.fullmatch(parts[0]):
        return Named(parts[0], Items("(]" if signs[0] == "\\le" else "()", (Scalar("-\\infty"), read(parts[1])), True))
    if len(parts) == 2 and _VARIABLE.fullmatch(parts[1]):
        return Named(parts[1], Items("[)" if signs[0] == "\\le" else "()", (read(parts[0]), Scalar("\\infty")), True))
    if len(parts) == 3 and _NAME.fullmatch(parts[1]):
        kind = ("[" if signs[0] == "\\le" else "(") + ("]" if signs[1] == "\\le" else ")")
        return Named(parts[1], Items(kind, (read(parts[0]), read(parts[2])), True))
    if len(parts) == 2:
        return Relation(signs[0], parts[0], parts[1])
    raise Undecidable("notation")


def _matrix(text: str) -> Value | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [row.split("&") for row in re.split(r"\\\\", match[2]) if row.strip()]
    if any(len(row) != len(rows[0]) for row in rows):
        raise Unreadable("ragged matrix")
    cells = [tuple(read(cell) for cell in row) for row in rows]
    if len(cells) == 1 and len(cells[0]) > 1:
        return Items("row", cells[0])
    if all(len(row) == 1 for row in cells):
        return Items("vector", tuple(row[0] for row in cells))
    return Items("matrix", tuple(Items("row", row) for row in cells))


def _bracketed(tokens: list[str]) -> Value | None:
    """A value whose first bracket closes at its end."""
    if tokens[0] not in _CLOSERS:
        return None
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and index < len(tokens) - 1:
            return None
    opened, closed = tokens[0], tokens[-1]
    if depth != 0 or closed not in _CLOSE:
        raise Unreadable("unbalanced brackets")
    parts, _ = _split(tokens[1:-1], {",", ";"})
    is_set = opened == "\\{" or (opened == "{" and len(parts) > 1)
    if is_set and "|" in tokens:
        raise Undecidable("notation")
    if is_set and parts == [""]:
        return Items("{}", ())
    if len(parts) == 1 and not is_set:
        if _CLOSERS[opened] != closed:
            raise Unreadable("unbalanced brackets")
        return read(parts[0])
    kind = "{}" if is_set else (opened + closed).replace("\\langle", "<").replace("\\rangle", ">")
    is_interval = len(parts) == 2 and (kind in ("[)", "(]") or "\\infty" in tokens)
    return Items(kind, tuple(read(part) for part in parts), is_interval)


def _signed_pair(text: str) -> Value | None:
    """a ± b is the list of a + b and a - b."""
    if text.count("\\pm") != 1:
        return None
    return Items("list", tuple(_scalar(re.sub(r"\\pm ?", sign, text).removeprefix("+")) for sign in "+-"))


def _scalar(text: str) -> Value:
    if text in ("\\emptyset", "\\varnothing"):
        return Items("{}", ())
    match = _UNIT.fullmatch(text)
    if match is None:
        return Scalar(text)
    value = match["value"]
    if value.endswith("}") and value.count("{") != value.count("}"):
        return Scalar(text)
    if match["mark"] == "°" and _FUNCTION.search(value):  # \sin 30° is no angle
        return Scalar(text)
    unit = match["mark"] or match["text"] or match["bare"]
    unit = {"percent": "%", "degree": "°", "degrees": "°"}.get(unit.lower(), unit)
    power = re.sub(r"[{}]", "", match["power"] or "")
    words = tuple(re.findall(r"[a-z]+|[€£¥₹¢]", unit.lower()))
    return Scalar(value.strip(), spelled(unit) + power, words)
