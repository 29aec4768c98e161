"""When is what a program gave what was expected? Both policies stand with examples in docs/reference/code.md.

Returned values: as Python's ==, but a list and a tuple are alike (references are JSON), and where a float is expected
the tolerance holds. Printed text: line by line, token by token; trailing white space and line ends do not count, the
tolerance holds where the expected token has a decimal point. The same tokens in another layout are not decided.
Nothing here builds a set or a dictionary with keys that the program chose: those can be made to collide.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

from tracemill.verifiers.coding.values import Tree

TOLERANCE = 1e-6
"""Relative."""
ABSOLUTE = 1e-9
"""For what is expected to be near zero."""
_FLOAT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?:\.\d*)?[eE][+-]?\d+)(?:[eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_LONGEST_NUMBER = 400
_NO_JSON = ("Infinity", "-Infinity", "NaN")
Layout = Literal["same", "layout", "different"]


def near(expected: float, got: float, tolerance: float = TOLERANCE) -> bool:
    """Within the tolerance; infinities must be equal, and NaN is near NaN."""
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    return expected == got or math.isclose(expected, got, rel_tol=tolerance, abs_tol=min(ABSOLUTE, tolerance))


def same_value(expected: Any, tree: Tree, tolerance: float = TOLERANCE) -> bool:
    """Whether a value as it came back equals one written in JSON. Raises RecursionError for what is nested deeply."""
    if isinstance(tree, dict):
        ((kind, held),) = tree.items()
        if kind in ("tuple", "deque"):
            return isinstance(expected, list) and same_value(expected, held, tolerance)
        if kind in ("dict", "OrderedDict", "defaultdict", "Counter"):
            return isinstance(expected, dict) and _same_mapping(expected, held, tolerance)
        if kind == "int":
            return type(expected) is int and hex(expected) == held
        if kind == "float":  # a driver's, where JSON has no such number
            return isinstance(expected, float) and held in _NO_JSON and near(expected, float(held), tolerance)
        return False
    if isinstance(tree, list):
        return (
            isinstance(expected, list)
            and len(expected) == len(tree)
            and all(same_value(one, other, tolerance) for one, other in zip(expected, tree, strict=True))
        )
    if isinstance(expected, float) and type(tree) in (int, float):
        return near(expected, _as_float(tree), tolerance)
    if isinstance(expected, str) or isinstance(tree, str) or expected is None or tree is None:
        return type(expected) is type(tree) and bool(expected == tree)
    return not isinstance(expected, list | dict) and bool(expected == tree)


def _same_mapping(expected: dict[str, Any], pairs: list[list[Tree]], tolerance: float) -> bool:
    """JSON's keys are text; a program's may be the numbers that they stand for."""
    names = [key if isinstance(key, str) else json.dumps(key) for key, _ in pairs]
    if len(names) != len(expected) or set(names) != set(expected):
        return False
    return all(same_value(expected[name], held, tolerance) for name, (_, held) in zip(names, pairs, strict=True))


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def same_output(expected: str, got: str, tolerance: float = TOLERANCE) -> Layout:
    """`same`, `different`, or `layout`: the same tokens, but not on the same lines or not spaced alike."""
    ours, theirs = _lines(expected), _lines(got)
    if len(ours) == len(theirs) and all(_same_line(*pair, tolerance) for pair in zip(ours, theirs, strict=True)):
        return "same"
    return "layout" if _same_tokens(expected.split(), got.split(), tolerance) else "different"


def first_difference(expected: str, got: str, tolerance: float = TOLERANCE) -> tuple[int, str, str]:
    """Number of the first line that differs, from 1, with both lines."""
    ours, theirs = _lines(expected), _lines(got)
    for number in range(max(len(ours), len(theirs))):
        pair = [lines[number] if number < len(lines) else "" for lines in (ours, theirs)]
        if number >= min(len(ours), len(theirs)) or not _same_line(pair[0], pair[1], tolerance):
            return number + 1, pair[0], pair[1]
    return 0, "", ""


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_line(expected: str, got: str, tolerance: float) -> bool:
    if expected == got:
        return True
    tokens = expected.split()
    if expected != " ".join(tokens):  # spacing that somebody meant: a drawing, a table
        return False
    return _same_tokens(tokens, got.split(), tolerance)


def _same_tokens(expected: list[str], got: Iterable[str], tolerance: float) -> bool:
    theirs = list(got)
    return len(expected) == len(theirs) and all(
        one == other or _near_tokens(one, other, tolerance) for one, other in zip(expected, theirs, strict=True)
    )


def _near_tokens(expected: str, got: str, tolerance: float) -> bool:
    if max(len(expected), len(got)) > _LONGEST_NUMBER or not _FLOAT.fullmatch(expected) or not _NUMBER.fullmatch(got):
        return False
    return near(float(expected), float(got), tolerance)
