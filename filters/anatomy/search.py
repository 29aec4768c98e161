"""Finds the markers of `anatomy.markers` in a text, fast: all at once, by an Aho-Corasick automaton.

A clause ends at a punctuation mark or a line break. In languages with spaces a phrase counts where its clause begins,
with nothing but particles before it ("But, hmm, let me check" is "let me check"); a comma may stand after its own first
word, if that is a particle ("Wait, no"). So "wait" in "the waiting room" or "I wait" is none. A language is searched
where a text's beginning has three of its commonest words; Russian, Chinese and Japanese where there is their script.
What a phrase means is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from tracemill.filters.anatomy.markers import KINDS, WITHOUT_SPACES, phrases, table, words

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

BEGINNING = 2048
"""Characters by whose words a language in Latin script is told."""
TELLING = 3
"""Different ones of a language's commonest words that must stand there; fewer, if no language has so many."""
BEFORE = 48
"""Most bytes of particles before a phrase in its clause."""
LATER = 240
"""Bytes after a phrase in which the rest of its clause, and the next, are looked at."""
_ENDS, _SPACES = b".!?,;:\n\r", b' (")[]*#>_\t'
_CLAUSES = bytes(
    10 if one in _ENDS else 32 if one in _SPACES else one + 32 if 65 <= one <= 90 else one for one in range(256)
)
"""Capital ASCII letters become small ones, what ends a clause a line feed, brackets and Markdown spaces."""
_WIDE = "。！？，；：、（）「」『』“”„«»—–…¿¡"
_WORD_ENDS = (b" ", b"\n", b"")
_KANA = tuple(bytes([0xE3, second]) for second in (0x81, 0x82, 0x83))
_HAN = tuple(bytes([lead]) for lead in range(0xE4, 0xEA))
_CYRILLIC = (b"\xd0", b"\xd1")
"""What their characters begin with in UTF-8."""

BITS = {kind: 1 << at for at, kind in enumerate(KINDS)}
Hit = tuple[int, int]
"""Where a clause's first word begins (bytes of the folded text), and the kinds of its markers, in bits."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as it is searched: small letters, UTF-8, one clause a line."""

    data: bytes
    languages: tuple[str, ...]
    """Those in Latin script first."""
    is_ascii: bool

    def character(self, place: int) -> int:
        """The place, in bytes, as a character of the text."""
        return place if self.is_ascii else len(self.data[:place].decode("utf-8", "surrogatepass"))

    def place(self, character: int) -> int:
        """The other way round."""
        if self.is_ascii:
            return character
        return len(self.data.decode("utf-8", "surrogatepass")[:character].encode("utf-8", "surrogatepass"))


def folded(text: str) -> Folded:
    """Every character of the text keeps its place."""
    if text.isascii():
        data = text.encode()
        return Folded(data.translate(_CLAUSES), _latin(data[:BEGINNING]) or ("en",), is_ascii=True)
    small = text.replace("’", "'").replace("İ", "i")
    for mark in _WIDE:
        small = small.replace(mark, "\n")
    data = small.encode("utf-8", "surrogatepass")
    languages = _latin(data[:BEGINNING])
    if any(lead in data for lead in _CYRILLIC):
        languages += ("ru",)
    if any(lead in data for lead in _KANA):
        languages += ("ja",)
    elif any(lead in data for lead in _HAN):
        languages += ("zh",)
    if languages != ("en",):
        data = small.lower().encode("utf-8", "surrogatepass")
    return Folded(data.translate(_CLAUSES), languages or ("en",), is_ascii=False)


def _latin(beginning: bytes) -> tuple[str, ...]:
    """The languages in Latin script that it is written in, the one with most of its words first."""
    there = set(beginning.lower().split())
    counts = {language: len(there & common) for language, common in _common().items()}
    least = min(max(1, *counts.values()), TELLING)
    found = [language for language, count in counts.items() if count >= least]
    return tuple(sorted(found, key=lambda language: -counts[language]))


@cache
def _common() -> dict[str, frozenset[bytes]]:
    return {language: words(language, "commonest") for language, texts in table().items() if "commonest" in texts}


def hits(text: Folded, kinds: tuple[str, ...] = KINDS, end: int | None = None) -> list[Hit]:
    """The markers of these kinds in all the text's languages, or in so many of its first bytes, in order."""
    search, found = _search(text.languages, kinds), list[Hit]()
    data = text.data if end is None else text.data[:end]
    for number, start, stop in search.automaton.find_matches_as_indexes(data, overlapping=True):
        phrase = search.phrases[number]
        if phrase.has_spaces:
            if data[stop : stop + 1] not in _WORD_ENDS:
                continue
            start = _clause(data, start, search.particles)
            if start < 0:
                continue
        bits = phrase.bits
        if phrase.later:
            rest = b" " + b" ".join(data[stop : stop + LATER].split(b"\n", 3)[:3]) + b" "
            for wanted, kind in phrase.later:
                if wanted in rest:
                    bits |= kind
        if bits:
            found.append((start, bits))
    found.sort()
    return found


def _clause(data: bytes, start: int, particles: frozenset[bytes]) -> int:
    """Where the clause's first word begins, if before `start` there are only particles in it; else -1."""
    line = data.rfind(b"\n", max(0, start - BEFORE), start) + 1
    if line == start or (line == start - 1 and data[line] == 32):
        return start
    if line == 0 and start > BEFORE:
        return -1
    before = data[line:start]
    if before[-1] != 32 or not particles.issuperset(before.split()):
        return -1
    return line + len(before) - len(before.lstrip())


@dataclass(slots=True)
class _Phrase:
    """What its finding means."""

    has_spaces: bool
    """Of a language with spaces: it must begin a clause, and end where a word does."""
    bits: int = 0
    later: list[tuple[bytes, int]] = field(default_factory=list)
    """What must follow in this clause or the next for further kinds."""


@dataclass(frozen=True, slots=True)
class _Search:
    automaton: BytesAhoCorasick
    phrases: list[_Phrase]
    """In the order of the automaton's patterns."""
    particles: frozenset[bytes]


@lru_cache(maxsize=64)
def _search(languages: tuple[str, ...], kinds: tuple[str, ...]) -> _Search:
    """All phrases of these languages and kinds."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    patterns: dict[bytes, _Phrase] = {}
    particles = frozenset({b"-"}).union(*(words(language, "particles") for language in languages))  # lists have bullets
    for language in languages:
        for kind, whole in phrases(language, kinds):
            first, _, later = whole.partition(" … ")
            for spelling in _spellings(first.encode().split(), particles):
                phrase = patterns.setdefault(spelling, _Phrase(language not in WITHOUT_SPACES))
                if later:
                    phrase.later.append((f" {later} ".encode(), BITS[kind]))
                else:
                    phrase.bits |= BITS[kind]
    return _Search(BytesAhoCorasick(patterns, implementation=Implementation.DFA), list(patterns.values()), particles)


def _spellings(known: list[bytes], particles: frozenset[bytes]) -> Iterator[bytes]:
    """The words in a row; and, where they begin with a particle, with a comma after it ("wait, no")."""
    yield b" ".join(known)
    if len(known) > 1 and known[0] in particles:
        yield known[0] + b"\n " + b" ".join(known[1:])
