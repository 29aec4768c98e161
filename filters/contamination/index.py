"""Which texts hold text of a benchmark: n-grams of words by hash, each confirmed word by word; short items as a whole.

A hash is looked up in a bitmap, then by bisection, then its words are compared, so a hash collision drops nothing. Does
not see paraphrases (`paraphrase` does); questions with a few changed words are found in `similar`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tracemill.filters.contamination.benchmarks import Part
from tracemill.filters.contamination.lookup import Bitmap, places_of, runs_of
from tracemill.filters.contamination.ngrams import (
    Hashes,
    Places,
    Words,
    ngram_hashes,
    text_hashes,
    word_hashes,
    words_of,
)

BATCH_CHARS = 200_000
"""Characters hashed at once: fewer cost more calls, more fall out of the processor's cache."""
TEMPLATE_ITEMS = 20
"""An n-gram that more items hold is the benchmark's template (`Answer with a letter`), and no evidence."""

T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, slots=True)
class Hit:
    """Text of one part of a benchmark's item in one text."""

    text: int
    """Number of the text."""
    part: Part
    kind: Literal["ngrams", "whole", "similar", "paraphrase"]
    span: str
    """What matches, as the text has it: the longest run of matching n-grams, or all of it."""
    coverage: float
    """Share of the part's distinct n-grams that occur in the text, 0 to 1; of `similar` the ratio, of `paraphrase` the
    cosine."""


class Matches(NamedTuple):
    """N-grams of texts that are n-grams of parts, one place each."""

    text: Places
    begin: Places
    """The n-gram's first word, of all words."""
    part: Places
    number: Places
    """The n-gram's place in the index."""


class Index:
    """The n-grams of some benchmarks' parts, sorted by hash."""

    def __init__(self, parts: Sequence[Part], n: int) -> None:
        self.parts, self.n = parts, n
        self.words = words_of([part.text for part in parts])
        halves = self.words.halves()
        sizes = np.diff(halves[self.words.first])
        self._own: dict[int, list[str]] = {}
        single = word_hashes(self.words)
        hashes = ngram_hashes(single, n)
        owner = np.repeat(np.arange(len(parts)), np.diff(self.words.first))
        inside = owner[: len(hashes)] == owner[n - 1 :]
        here = np.flatnonzero(inside & (sizes[owner[: len(hashes)]] >= 2 * n))
        here = here[np.argsort(hashes[here], kind="stable")]
        here = here[self._is_evidence(hashes[here], owner[here])]
        here = here[self._is_first(hashes[here], owner[here], here)]
        self.hashes, self.owner, self.at = hashes[here], owner[here], here
        self.until = np.searchsorted(self.hashes, self.hashes, "right")
        self.distinct: list[int] = np.bincount(self.owner, minlength=len(parts)).tolist()
        self.bitmap = Bitmap(self.hashes)
        self.whole: dict[tuple[str, ...], list[int]] = {}
        for number in np.setdiff1d(np.flatnonzero(sizes), self.owner).tolist():
            if parts[number].is_question:
                self.whole.setdefault(tuple(self.own(number)), []).append(number)
        chosen = sorted(number for numbers in self.whole.values() for number in numbers)
        self.whole_hashes = np.unique(text_hashes(self.words, single)[chosen])

    def _is_evidence(self, hashes: Hashes, owner: Places) -> NDArray[np.bool_]:
        """Of n-grams sorted by hash: those that few items hold."""
        items = {key: number for number, key in enumerate(dict.fromkeys((p.benchmark, p.item) for p in self.parts))}
        item = np.array([items[part.benchmark, part.item] for part in self.parts], np.int64)[owner]
        _, group = np.unique(hashes, return_inverse=True)
        held_by = np.bincount(np.unique(group * len(items) + item) // max(1, len(items)))
        is_evidence: NDArray[np.bool_] = held_by[group] <= TEMPLATE_ITEMS
        return is_evidence

    def _is_first(self, hashes: Hashes, owner: Places, at: Places) -> NDArray[np.bool_]:
        """Of n-grams sorted by hash, then place: those that their part does not hold before."""
        order = np.lexsort((at, owner, hashes))
        is_first = np.ones(len(order), bool)
        is_first[order[1:]] = np.diff(owner[order]).astype(bool) | (hashes[order][1:] != hashes[order][:-1])
        before = np.maximum.accumulate(np.where(is_first[order], np.arange(len(order)), 0))
        for place in np.flatnonzero(~is_first[order]).tolist():
            first, again = order[before[place]], order[place]
            one, other = (self.gram(int(owner[which]), int(at[which]), self.n) for which in (first, again))
            is_first[again] = one != other
        return is_first

    def gram(self, part: int, at: int, count: int) -> list[str]:
        """So many words of a part, from word number `at` of all on."""
        begin = at - int(self.words.first[part])
        return self.own(part)[begin : begin + count]

    def own(self, part: int) -> list[str]:
        """The words of a part."""
        if part not in self._own:
            self._own[part] = self.words.of(part)
        return self._own[part]

    def search(self, texts: Iterable[str]) -> Iterator[Hit]:
        """The hits in the texts, in their order; for each text and part one, the widest cover first."""
        start = 0
        for batch in batches(texts):
            yield from self.search_words(words_of(batch), start)
            start += len(batch)

    def search_words(self, words: Words, start: int = 0) -> Iterator[Hit]:
        """The hits in texts whose words are known; `start` is the number of the first of them."""
        hashes = word_hashes(words)
        hits = [*self._by_ngrams(words, hashes, start), *self._as_a_whole(words, hashes, start)]
        yield from sorted(hits, key=lambda hit: (hit.text, -hit.coverage))

    def _by_ngrams(self, words: Words, single: Hashes, start: int) -> Iterator[Hit]:
        hashes = ngram_hashes(single, self.n)
        places = np.flatnonzero(self.bitmap.may_have(hashes))
        low = places_of(self.hashes, hashes[places])
        places, low = places[low >= 0], low[low >= 0]
        text = words.text_of(places)
        is_inside = text == words.text_of(places + self.n - 1)
        places, low, text = places[is_inside], low[is_inside], text[is_inside]
        found = self._confirmed(words, text, places, low, self.until[low])
        yield from self._described(words, found, start)

    def _confirmed(self, words: Words, text: Places, places: Places, low: Places, high: Places) -> Matches:
        """Of n-grams with equal hashes those with equal words; compared run by run, each word of a run once."""
        counts = high - low
        each = np.repeat(np.arange(len(low)), counts)
        number = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts) + low[each]
        text, begin, part, at = text[each], places[each], self.owner[number], self.at[number]
        order = np.lexsort((begin, begin - at, part))
        text, begin, part, at, number = text[order], begin[order], part[order], at[order], number[order]
        is_equal = np.zeros(len(begin), bool)
        for first, last in runs_of(begin, (part, begin - at)):
            here = int(text[first]), int(begin[first]), int(part[first]), int(at[first])
            if self._is_same(words, *here, last - first + self.n - 1):
                is_equal[first:last] = True
                continue
            for one in range(first, last):
                here = int(text[one]), int(begin[one]), int(part[one]), int(at[one])
                is_equal[one] = self._is_same(words, *here, self.n)
        return Matches(text[is_equal], begin[is_equal], part[is_equal], number[is_equal])

    def _is_same(self, words: Words, text: int, begin: int, part: int, at: int, count: int) -> bool:
        """Whether so many words of a text, from number `begin` of all on, are those of a part from `at` on."""
        own = words.ascii(begin, count)
        if own is not None:
            return own == self.words.ascii(at, count)
        first = begin - int(words.first[text])
        return words.of(text, first, first + count) == self.gram(part, at, count)

    def _described(self, words: Words, found: Matches, start: int) -> Iterator[Hit]:
        """One hit for each text and part, with the longest run of its n-grams, where that is n words long."""
        if not len(found.text):
            return
        halves = words.halves()
        order = np.lexsort((found.begin, found.part, found.text))
        begin, part = found.begin[order], found.part[order]
        bounds = np.array(list(runs_of(begin, (part,))))
        firsts, ends = begin[bounds[:, 0]], begin[bounds[:, 1] - 1] + self.n
        texts, parts = found.text[order][bounds[:, 0]], part[bounds[:, 0]]
        runs = np.stack((halves[ends] - halves[firsts], firsts - words.first[texts], ends - words.first[texts]))
        longest: dict[tuple[int, int], tuple[int, ...]] = {}
        for key, run in zip(zip(texts.tolist(), parts.tolist(), strict=True), runs.T.tolist(), strict=True):
            longest[key] = max(longest.get(key, (0,)), tuple(run))
        once = np.unique(found.text * len(self.hashes) + found.number)
        item = self.owner[once % len(self.hashes)]
        covered = Counter(zip((once // len(self.hashes)).tolist(), item.tolist(), strict=True))
        for (one, own), (size, first, end) in longest.items():
            if size >= 2 * self.n:
                span = words.quoted(one, first, end)
                yield Hit(start + one, self.parts[own], "ngrams", span, covered[one, own] / self.distinct[own])

    def _as_a_whole(self, words: Words, single: Hashes, start: int) -> Iterator[Hit]:
        """Texts that are an item too short for n-grams, and nothing else."""
        for text in np.flatnonzero(places_of(self.whole_hashes, text_hashes(words, single)) >= 0).tolist():
            own = words.of(text)
            for part in self.whole.get(tuple(own), ()):
                yield Hit(start + text, self.parts[part], "whole", words.quoted(text, 0, len(own)), 1.0)


def batches(texts: Iterable[T]) -> Iterator[list[T]]:
    """The texts, or what has their lengths, as many at once as are hashed at once, in steps of 16."""
    each, batch, size = iter(texts), list[T](), 0
    while step := list(islice(each, 16)):
        batch += step
        size += sum(map(len, step))
        if size >= BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
