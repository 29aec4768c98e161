"""Values keep their exact type on the way, and nothing but content makes it."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.coding.values import Refused, decode, encode

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=5) | st.sets(HASHABLE, max_size=5) | st.dictionaries(HASHABLE, inner, max_size=5)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, set | frozenset):
        return bool(one == other) and {type(x) for x in one} == {type(x) for x in other}
    return bool(one == other)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(decode(json.loads(json.dumps(encode(value)))), value)


@pytest.mark.parametrize(
    "value",
    [
        10**5000, -(10**5000), "\ud800", -0.0, math.inf, range(1, 10**30, 3), bytearray(b"\0"), collections.deque([1, {2}]),
        collections.Counter("abca"), collections.OrderedDict(b=1, a=2), decimal.Decimal("1.10"), fractions.Fraction(1, 3),
        datetime.datetime(2026, 1, 2, 3), datetime.date(2026, 1, 2), int, type(None), {12, 13, 14, 15, 16},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_of_other_types_come_back(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    assert type(back) is type(value)
    assert back == value
    assert repr(back)[:50] == repr(value)[:50] if not isinstance(value, int) else True


def test_a_set_keeps_the_order_of_a_literal() -> None:
    assert list(decode(encode({12, 13, 14, 15, 16}))) == list({12, 13, 14, 15, 16}) != [12, 13, 14, 15, 16]


class Point(collections.namedtuple("Point", "x y")):
    pass


class Colour(enum.IntEnum):
    RED = 1


class Yes(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_subclasses_are_their_plain_content_unless_they_compare_otherwise() -> None:
    assert encode(Point(1, 2)) == {"tuple": [1, 2]}
    assert encode(Colour.RED) == 1
    assert type(encode(Colour.RED)) is int
    with pytest.raises(Refused, match="Yes"):
        encode([Yes(3)])


@pytest.mark.parametrize("value", [object(), iter([1]), print, Point, (x for x in "ab"), {1: object()}])
def test_everything_else_is_refused(value: Any) -> None:
    with pytest.raises(Refused):
        encode(value)


def test_a_cycle_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Refused, match="cycle"):
        encode(loop)


@pytest.mark.parametrize(
    "tree",
    [{}, {"tuple": [1], "set": []}, {"set": [[1]]}, {"dict": [[1]]}, {"dict": 3}, {"int": 7}, {"int": "x"}, {"type": "open"},
     {"object": [0, []]}, {"Decimal": "abc"}, {"bytes": "zz"}, {"range": [1, 2, 0]}, {"eval": "1"}],
)  # fmt: skip
def test_what_was_not_written_by_us_is_a_value_error(tree: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        decode(tree)
