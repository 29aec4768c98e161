"""Drops a trace whose reasoning and answer stand already in an earlier trace of the same prompt.

Compared after Unicode NFC, case folding and folding of white space; numbers are left as they are, since two chains
that differ in a number are two chains. One pass, one 128-bit hash and one trace id a kept trace in memory. Does not
see near-duplicates.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.ids import content_id
from tracemill.core.plugins import SieveExample
from tracemill.core.types import Drop, Item


@dataclass(frozen=True, slots=True)
class ExactDuplicates:
    """The first of equal traces is kept; the others' drops name it."""

    name: ClassVar[str] = "exact_duplicates"
    version: ClassVar[str] = "1"

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops with reason `duplicate` and the kept trace's id as detail, in the order of the items."""
        kept: dict[bytes, str] = {}
        for item in items:
            trace = item.trace
            key = bytes.fromhex(content_id(trace.prompt_id, fold(trace.reasoning), fold(trace.answer)))
            first = kept.setdefault(key, trace.id)
            if first != trace.id:
                yield Drop(trace.id, self.name, self.version, "duplicate", first)


def fold(text: str) -> str:
    """The text as it is compared."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


plugin = ExactDuplicates()

_CHAIN = "Six times seven is 42."
EXAMPLES = (
    SieveExample([("p", _CHAIN, "42"), ("p", "Seven times six is 42.", "42")], (), "right: two different chains"),
    SieveExample([("p", _CHAIN, "42"), ("p", _CHAIN, "42"), ("p", _CHAIN, "42")], (1, 2), "wrong: said three times"),
    SieveExample([("p", _CHAIN, "42"), ("p", " six  times\nseven is 42.", "42")], (1,), "wrong: only case and spaces"),
    SieveExample([("p", "caf\u00e9", "42"), ("p", "cafe\u0301", "42")], (1,), "wrong: the same letters in Unicode"),
    SieveExample([("p", _CHAIN, "42"), ("q", _CHAIN, "42")], (), "adversarial: the same chain to another prompt"),
    SieveExample([("p", "Try 12.", "42"), ("p", "Try 13.", "42")], (), "adversarial: only a number differs"),
    SieveExample([("p", "ab", "c"), ("p", "a", "bc")], (), "adversarial: the same text cut elsewhere"),
)
