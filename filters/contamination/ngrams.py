"""Words of many texts at once, and hashes of their n-grams, in numpy. Equal n-grams have equal hashes; who finds equal
hashes compares the words (`Words.of`), for different n-grams may have equal ones, too.

A word's hash is of its first and its last 8 characters; an n-gram's is a polynomial over its words' hashes, mod 2^64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracemill.filters.contamination.folding import SPACE, UNSPACED, Bytes, composed, fold, stream

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_PAD = np.full(8, SPACE, np.uint8)
_FIRST, _LAST, _BASE, _MIX = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD
"""Odd 64-bit constants of splitmix64, xxHash and MurmurHash3."""
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
_MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Words:
    """The words of some texts, one text after the other."""

    texts: Sequence[str]
    special: dict[int, str]
    """See `folding.stream`."""
    data: Bytes
    text_starts: Places
    """Offset in `data` at which each text begins, and one past the last."""
    starts: Places
    """Offset in `data` of each word, and of the end of it."""
    ends: Places
    first: Places
    """Number of each text's first word, and of all words."""

    def __len__(self) -> int:
        return len(self.starts)

    def text_of(self, words: Places) -> Places:
        """The texts in which words of these numbers stand."""
        return np.searchsorted(self.first, words, side="right") - 1

    def of(self, text: int, begin: int = 0, end: int | None = None) -> list[str]:
        """The words of one text, folded: those from number `begin` to before `end`."""
        here = self._between(text, begin, end)
        if here.start == here.stop:
            return []
        offset = self.text_starts[text]
        starts, ends = self.starts[here] - offset, self.ends[here] - offset
        first, last = int(starts[0]), int(ends[-1])
        known = self.special.get(text)
        folded = fold(self.texts[text][first:last]) if known is None else known[first:last]
        return [folded[a:b] for a, b in zip((starts - first).tolist(), (ends - first).tolist(), strict=True)]

    def ascii(self, begin: int, count: int) -> list[bytes] | None:
        """So many words from number `begin` of all on, where they are ASCII: the bytes are then the words."""
        raw = self.data[self.starts[begin] : self.ends[begin + count - 1]].tobytes()
        return raw.split() if raw.isascii() and 0 not in raw else None

    def quoted(self, text: int, begin: int, end: int) -> str:
        """A text from word number `begin` to before `end`, as it was written."""
        here = self._between(text, begin, end)
        start, stop = (self.starts[here.start], self.ends[here.stop - 1]) - self.text_starts[text]
        if text not in self.special:
            return self.texts[text][start:stop]
        written = composed(self.texts[text])
        ends = np.cumsum([len(fold(char)) for char in written])
        return written[np.searchsorted(ends, start, "right") : np.searchsorted(ends, stop, "left") + 1]

    def _between(self, text: int, begin: int, end: int | None) -> slice:
        first = self.first[text]
        return slice(first + begin, self.first[text + 1] if end is None else first + end)

    def halves(self) -> Places:
        """Half words before each word, and in all: a word is two, a character of a script without spaces one."""
        found = 2 * np.arange(len(self.starts) + 1)
        if (self.data >= UNSPACED).any():
            found[1:] -= np.cumsum(self.data[self.starts] >= UNSPACED)
        return found


def words_of(texts: Sequence[str]) -> Words:
    """The words of these texts. About 20 bytes of memory a character."""
    data, text_starts, special = stream(texts)
    is_word = data != SPACE
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    starts, ends = edges[0::2].copy(), edges[1::2].copy()
    if (unspaced := data >= UNSPACED).any():
        begins = is_word[1:] & (~is_word[:-1] | unspaced[1:] | unspaced[:-1])
        closes = is_word[:-1] & (~is_word[1:] | unspaced[1:] | unspaced[:-1])
        starts, ends = np.flatnonzero(begins) + 1, np.flatnonzero(closes) + 1
    first = np.searchsorted(starts, text_starts)
    return Words(texts, special, data, text_starts, starts, ends, first)


def word_hashes(words: Words) -> Hashes:
    """One hash a word. Equal words have equal hashes."""
    padded = np.concatenate((_PAD, words.data, _PAD))
    eights: Hashes = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    sizes = words.ends - words.starts
    found: Hashes = eights[8:][words.starts]
    found &= _MASKS[np.minimum(sizes, 8)]
    found *= np.uint64(_FIRST)
    long = np.flatnonzero(sizes > 8)
    found[long] ^= eights[words.ends[long]] * np.uint64(_LAST)
    found ^= found >> np.uint64(32)
    found *= np.uint64(_MIX)
    return found


def text_hashes(words: Words, hashes: Hashes) -> Hashes:
    """One hash a text, whatever the order of its words."""
    before = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes, out=before[1:])
    return np.diff(before[words.first])


def ngram_hashes(hashes: Hashes, n: int) -> Hashes:
    """The hash of the n words that begin at each word; those across two texts, too. Shape (words - n + 1,), or (0,)."""
    power = hashes
    count = len(power) - n + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    found, done, size = np.zeros(count, np.uint64), 0, 1
    while True:  # `power` holds the hashes of all `size`-grams; n is a sum of such sizes
        if n & size:
            found += power[done : done + count] * np.uint64(pow(_BASE, done, _MODULUS))
            done += size
        if done == n:
            break
        power = power[:-size] + power[size:] * np.uint64(pow(_BASE, size, _MODULUS))
        size *= 2
    found ^= found >> np.uint64(29)
    found *= np.uint64(_MIX)
    return found
