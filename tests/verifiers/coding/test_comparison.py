"""Both comparisons, beyond the rows of docs/reference/code.md."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.coding.comparison import first_difference, near, same_output, same_value
from tracemill.verifiers.coding.values import encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    assert same_value(value, json.loads(json.dumps(encode(value))))


@given(JSON, JSON)
def test_values_are_the_same_where_python_says_so(one: Any, other: Any) -> None:
    if one == other:
        assert same_value(one, encode(other))
    elif not any(isinstance(part, float) for part in _parts(one)):
        assert not same_value(one, encode(other))


def _parts(value: Any) -> list[Any]:
    held = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return [value, *(part for one in held for part in _parts(one))]


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [(0.0, 1e-12, True), (1e-7, 2e-7, False), (1e300, 1e300 * (1 + 1e-7), True), (math.inf, 1e308, False), (math.nan, math.nan, True), (math.nan, 0, False)],
)  # fmt: skip
def test_near(expected: float, got: float, same: bool) -> None:
    assert near(expected, got) is same


def test_numbers_that_are_too_big_for_a_float() -> None:
    assert not same_value(1.5, encode(10**400))
    assert same_value(10**400, encode(10**400))
    assert not same_value(10**400 + 1, encode(10**400))


@pytest.mark.parametrize("tree", [{}, {"object": [0, ["f", ""]]}, {"set": [1]}, {"x": 1}])
def test_what_is_no_json_value_is_not_the_same(tree: Any) -> None:
    try:
        assert not same_value([1], tree)
    except ValueError:
        assert tree == {}


@given(st.text(max_size=80))
def test_an_output_is_the_same_as_itself(text: str) -> None:
    assert same_output(text, text) == "same"
    assert same_output(text, text.rstrip() + "\r\n\n") == same_output(text, text.rstrip()) == "same"


@given(st.lists(st.integers(), min_size=1, max_size=6), st.integers(0, 5))
def test_another_integer_is_different(numbers: list[int], at: int) -> None:
    other = list(numbers)
    other[at % len(numbers)] += 1
    assert same_output(" ".join(map(str, numbers)), " ".join(map(str, other))) == "different"


def test_the_first_line_that_differs_is_named() -> None:
    assert first_difference("1\n2\n3", "1\n4\n3") == (2, "2", "4")
    assert first_difference("1\n2", "1") == (2, "2", "")
