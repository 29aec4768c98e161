"""Questions that are a benchmark's with a few characters changed: rapidfuzz's ratio, as open-thoughts uses it.

The ratio is 100 * (1 - d / (a + b)) for d insertions and deletions that lead from one folded text, of a characters, to
the other, of b. It is computed where it can reach the limit: texts of near lengths, whose letters differ in number by
no more than d. Both are exact bounds, so they lose nothing. Does not see other words for the same thing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from tracemill.filters.contamination.folding import SPACE
from tracemill.filters.contamination.index import Hit, Index
from tracemill.filters.contamination.ngrams import Words

_KINDS = 38
_KIND = np.full(256, 36, np.intp)
_KIND[ord("a") : ord("z") + 1] = np.arange(26)
_KIND[ord("0") : ord("9") + 1] = np.arange(26, 36)
_KIND[SPACE] = 37
"""Letters, digits, all else; and separators, which are not compared."""


class Similar:
    """The questions of an index that are long enough for n-grams, by length. A shorter one has to be equal."""

    def __init__(self, index: Index, least: float) -> None:
        self.least, self.index = least, index
        wanted = np.array([part.is_question for part in index.parts], bool) & (np.array(index.distinct) > 0)
        lengths = _lengths(index.words)
        chosen = np.flatnonzero(wanted)
        self.numbers = chosen[np.argsort(lengths[chosen], kind="stable")]
        self.lengths = lengths[self.numbers]
        self.counts = _counts(index.words)[self.numbers]

    def search_words(self, words: Words, passed_over: Collection[int], start: int = 0) -> Iterator[Hit]:
        """The nearest question of each text, where it is near enough; `passed_over` are texts not to look at."""
        if not len(self.numbers):
            return
        lengths, allowed = _lengths(words), 1 - self.least / 100
        low = np.searchsorted(self.lengths, np.ceil(lengths * (1 - allowed) / (1 + allowed) - 1e-9), "left")
        high = np.searchsorted(self.lengths, np.floor(lengths * (1 + allowed) / (1 - allowed) + 1e-9), "right")
        places = [place for place in np.flatnonzero(low < high).tolist() if place not in passed_over]
        counts = _counts(words) if places else self.counts
        for text in places:
            near = slice(low[text], high[text])
            apart = np.abs(self.counts[near] - counts[text]).sum(axis=1, dtype=np.int64)
            maybe = np.flatnonzero(apart <= allowed * (self.lengths[near] + lengths[text]) + 1e-9)
            if len(maybe) and (hit := self._nearest(words, text, self.numbers[near][maybe].tolist(), start)):
                yield hit

    def _nearest(self, words: Words, text: int, parts: list[int], start: int) -> Hit | None:
        own = " ".join(words.of(text))
        ratios = [fuzz.ratio(own, " ".join(self.index.own(part)), score_cutoff=self.least) for part in parts]
        best = max(ratios)
        if best < self.least or not best:
            return None
        part = self.index.parts[parts[ratios.index(best)]]
        count = int(words.first[text + 1] - words.first[text])
        return Hit(start + text, part, "similar", words.quoted(text, 0, count), best / 100)


def _lengths(words: Words) -> NDArray[np.int64]:
    """Characters of each text, folded, its words joined by spaces."""
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(words.ends - words.starts + 1)))
    found: NDArray[np.int64] = np.maximum(np.diff(before[words.first]) - 1, 0)
    return found


def _counts(words: Words) -> NDArray[np.int16]:
    """How often each kind of character is in each text, 10,000 at most; shape (texts, kinds)."""
    texts = len(words.texts)
    owner = np.repeat(np.arange(texts), np.diff(words.text_starts))
    kinds = _KIND[words.data[1 : 1 + len(owner)]]
    counts = np.bincount(owner * _KINDS + kinds, minlength=texts * _KINDS)
    return np.minimum(counts.reshape(texts, _KINDS)[:, : _KINDS - 1], 10_000).astype(np.int16)
