"""Values on their way between the program under test and whoever judges it: JSON in which every type is exact.

Runs on both sides, inside the box too, so it imports nothing of ours. What crosses is content, never behaviour: an
object whose `__eq__` says True to everything arrives as its plain content, as a handle, or not at all.

    None, bool, int, float, str, list   as JSON        others: {"tuple": […]}, {"set": […]}, {"dict": [[key, value], …]}
    range, bytes, bytearray, complex, frozenset, deque, Counter, OrderedDict, defaultdict, Decimal, Fraction, date, …
    numpy scalars, arrays of numbers    as the plain number; {"ndarray": [dtype, nested lists]}
    subclasses of these                 as their plain content, where they compare as it does (a namedtuple is a tuple)
    everything else                     a handle, where the two sides have agreed on handles; else Refused
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import sys
import types
from collections.abc import Callable
from typing import Any

Tree = Any
"""What json can write."""
_TYPES: tuple[type[Any], ...] = (
    *(bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict, range),
    *(object, type, types.NoneType),
)
BUILTIN_TYPES = {kind.__name__: kind for kind in _TYPES}
"""Types that can be arguments themselves: f(x, int)."""
_SMALL = 1 << 63
_PLAIN = (type(None), bool, str)
_AS_TEXT: dict[type, Callable[[str], Any]] = {
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
}
_TEXT_NAMES = {kind.__name__: read for kind, read in _AS_TEXT.items()}
_SEQUENCES: dict[type, Callable[[list[Any]], Any]] = {
    tuple: tuple,
    set: lambda values: _ordered(set(values), values, set),
    frozenset: lambda values: _ordered(frozenset(values), values, frozenset),
    collections.deque: collections.deque,
    type({}.keys()): lambda values: dict.fromkeys(values).keys(),
    type({}.values()): lambda values: dict(enumerate(values)).values(),
    type({}.items()): lambda values: dict(values).items(),
}
_SEQUENCE_NAMES = {kind.__name__: make for kind, make in _SEQUENCES.items()}
_MAPPINGS: dict[type, Callable[[list[Any]], Any]] = {
    dict: dict,
    collections.Counter: lambda pairs: collections.Counter(dict(pairs)),
    collections.OrderedDict: collections.OrderedDict,
    collections.defaultdict: lambda pairs: collections.defaultdict(None, pairs),
}
_MAPPING_NAMES = {kind.__name__: make for kind, make in _MAPPINGS.items()}
_BASES = (int, float, str, tuple, list, set, frozenset, dict, bytes, bytearray, complex)


class Refused(Exception):
    """A value that cannot cross; the message names its type."""


def refuse(value: object) -> Tree:
    """What is done with other objects where there are no handles."""
    raise Refused(type(value).__name__)


def encode(value: Any, other: Callable[[object], Tree] = refuse) -> Tree:
    """The value as a tree. Raises Refused for what `other` refuses, and for values nested too deeply or in a cycle."""
    try:
        return _encode(value, other)
    except RecursionError:
        raise Refused(f"{type(value).__name__}, nested too deeply or in a cycle") from None


def _encode(value: Any, other: Callable[[object], Tree]) -> Tree:
    kind = type(value)
    if kind in _PLAIN or kind is float:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"int": hex(value)}
    if kind is list:
        return _all(value, other)
    if kind in _SEQUENCES:
        return {kind.__name__: _all(list(value), other)}
    if kind in _MAPPINGS:
        return {kind.__name__: [[_encode(key, other), _encode(held, other)] for key, held in dict.items(value)]}
    if kind is bytes or kind is bytearray:
        return {kind.__name__: value.hex()}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is range:
        return {"range": [_encode(part, other) for part in (value.start, value.stop, value.step)]}
    if kind in _AS_TEXT:
        return {kind.__name__: value.isoformat() if hasattr(value, "isoformat") else str(value)}
    if kind is type and value in _TYPES:
        return {"type": value.__name__}
    return _encode_other(value, kind, other)


def _all(values: list[Any], other: Callable[[object], Tree]) -> Tree:
    kinds = set(map(type, values))
    if kinds <= {*_PLAIN, float} or (kinds == {int} and min(values) > -_SMALL and max(values) < _SMALL):
        return values
    return [_encode(value, other) for value in values]


def _encode_other(value: Any, kind: type, other: Callable[[object], Tree]) -> Tree:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _encode(value.item(), refuse)
    if numpy is not None and kind is numpy.ndarray and value.dtype.kind in "biufc":
        return {"ndarray": [value.dtype.name, _encode(value.tolist(), refuse)]}
    for base in _BASES:
        if issubclass(kind, base):
            if kind.__eq__ is not base.__eq__:
                raise Refused(kind.__name__)
            return _encode(_content(value, base), other)
    return other(value)


def _content(value: Any, base: type) -> Any:
    """The plain content, read by the base's own methods."""
    if issubclass(base, int | float | complex):
        return base.__pos__(value)
    if base is str:
        return str.__str__(value)
    if base is dict:
        return dict(dict.items(value))
    return base(base.__iter__(value))  # type: ignore[attr-defined, call-arg]


def no_handle(name: str, held: Any) -> Any:
    """Where there are no handles, a tag that is not ours is malformed."""
    raise ValueError(f"no value: {name}")


def array(held: Any) -> Any:
    """An array of numbers, for those who take them: the parent does not."""
    import numpy

    name, content = held
    return numpy.array(_decode(content, no_handle), dtype=name)


def decode(tree: Tree, handle: Callable[[str, Any], Any] = no_handle) -> Any:
    """The value again, of exactly the type that was written. `handle` reads tags that are not ours.

    Raises ValueError for what `encode` cannot have written.
    """
    try:
        return _decode(tree, handle)
    except (TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"malformed value: {error}") from error


def _ordered(made: Any, values: list[Any], kind: type) -> Any:
    """The set in the order of the one that was sent, where its table was made as that of a literal is.

    `tuple({12, 13, 14, 15, 16})` begins with 16, but with 12 after elements were added one by one. Programs that rely
    on it are right or wrong by luck; here as there.
    """
    if list(made) == values:
        return made
    merged: set[Any] = set()
    merged |= frozenset(values)
    return kind(merged) if list(merged) == values else made


def _decode(tree: Tree, handle: Callable[[str, Any], Any]) -> Any:
    if type(tree) is list:
        kinds = set(map(type, tree))
        return [_decode(part, handle) for part in tree] if list in kinds or dict in kinds else tree.copy()
    if type(tree) is not dict:
        return tree
    ((name, held),) = tree.items()
    if name in _SEQUENCE_NAMES:
        return _SEQUENCE_NAMES[name](_decode(held, handle))
    if name in _MAPPING_NAMES:
        return _MAPPING_NAMES[name]([(_decode(key, handle), _decode(value, handle)) for key, value in held])
    if name in _TEXT_NAMES:
        return _TEXT_NAMES[name](held)
    simple = _SIMPLE.get(name)
    return simple(held) if simple is not None else handle(name, held)


_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "int": lambda held: int(held, 16),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda held: complex(*held),
    "range": lambda held: range(*[_decode(part, no_handle) for part in held]),
    "type": BUILTIN_TYPES.__getitem__,
}
