"""Finds personal data and secrets in a text.

Literals that a datum cannot be without come first, so that a chain without any costs one walk over its bytes
(Aho-Corasick) and one over their shapes; patterns run where these found something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from tracemill.filters.privacy.accounts import cards, ibans
from tracemill.filters.privacy.contacts import addresses, emails, phones_abroad, phones_american, phones_said
from tracemill.filters.privacy.datum import Datum
from tracemill.filters.privacy.keys import RULES, Rule, keys

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

KINDS = ("email", "phone", "iban", "card", "key", "ip")

_TELEPHONES = (
    "hone", "elefon", "eléfon", "obile", "Tel", "tel.", "tel:", "fax", "Fax", "FAX", "hatsA", "all me", "all us",
    "all him", "all her", "ext me", "电话", "電話", "手机", "手機",
)  # fmt: skip
"""Parts of the words that `phones_said` asks for."""
_GROUPED = tuple(f"000{between}0000" for between in ("-", " ", ".", "\u2011", "\u2010", "\u2013", "\xa0", "\u202f"))
_SHAPES: tuple[tuple[str, str, Callable[[str], Iterator[Datum]]], ...] = (
    *((shape, "phone", phones_american) for shape in (*_GROUPED, ".000.0")),  # which hides the dotted one after it
    *((shape, "card", cards) for shape in (*_GROUPED, "0" * 13)),
    ("AA00", "iban", ibans),
    *((shape, "ip", addresses) for shape in (".00.0", ".000.0")),
)
"""What every such datum holds in `_SHAPE`, its kind, and what finds it."""
_SHAPED_KINDS = frozenset(kind for _, kind, _ in _SHAPES)
_SHAPE = bytes.maketrans(b"123456789BCDEFGHIJKLMNOPQRSTUVWXYZ", b"0" * 9 + b"A" * 25)


def find(text: str, kinds: Iterable[str] = KINDS) -> list[Datum]:
    """The data of these kinds in their order; where two overlap, the first of them, and the longer of two that begin
    at one place."""
    wanted = frozenset(kinds)
    data = text.encode("utf-8", "surrogatepass")
    found = list[Datum]()
    if "email" in wanted and b"@" in data:
        found += emails(text)
    if "phone" in wanted and b"+" in data:
        found += phones_abroad(text)
    if "key" in wanted or "phone" in wanted:
        automaton, rules = _literals()
        hits = [(rules[index], start) for index, start, _ in automaton.find_matches_as_indexes(data)]
        if hits and "key" in wanted:
            found += keys(text, dict.fromkeys(rule for rule, _ in hits if rule is not None))
        if hits and "phone" in wanted:
            found += phones_said(text, _characters(data, (start for rule, start in hits if rule is None)))
    if not wanted.isdisjoint(_SHAPED_KINDS):
        automaton, shapes = _shapes()
        seen = {shapes[index] for index, _, _ in automaton.find_matches_as_indexes(data.translate(_SHAPE))}
        if seen:
            for search in dict.fromkeys(search for shape, kind, search in _SHAPES if shape in seen and kind in wanted):
                found += search(text)
    return list(_apart(sorted(found, key=lambda one: (one.start, -one.end)))) if found else []


def _characters(data: bytes, places: Iterable[int]) -> Iterator[int]:
    """The number of characters before each of these bytes, which come in their order."""
    count = end = 0
    for place in places:
        count += len(data[end:place].decode("utf-8", "surrogatepass"))
        end = place
        yield count


def _apart(found: Iterable[Datum]) -> Iterator[Datum]:
    end = 0
    for one in found:
        if one.start >= end:
            yield one
            end = one.end


@cache
def _literals() -> tuple[BytesAhoCorasick, tuple[Rule | None, ...]]:
    """What finds the literals of keys and the words for telephones, and the rule of each; None for a word."""
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    owners = [(literal, rule) for rule in RULES for literal in rule.literals] + [(word, None) for word in _TELEPHONES]
    found = BytesAhoCorasick([literal.encode() for literal, _ in owners], MatchKind.LeftmostFirst)
    return found, tuple(rule for _, rule in owners)


@cache
def _shapes() -> tuple[BytesAhoCorasick, tuple[str, ...]]:
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    shapes = tuple(dict.fromkeys(shape for shape, _, _ in _SHAPES))
    return BytesAhoCorasick([shape.encode() for shape in shapes], MatchKind.LeftmostFirst), shapes
