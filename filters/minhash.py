"""MinHash of texts: word shingles in numpy, signatures by rensa, band keys.

Words are those of `filters.words`, ASCII letters in lower case, in Unicode NFC. A shingle is n words in a row, hashed
to 64 bits; a text of fewer words is one shingle, an empty one none. Numbers are never folded: they are in the shingles
as they stand, and the numbers of a text, which are its words with an ASCII digit in them, with multiplicity, are kept
apart, so that "same template, other numbers" can be told from a copy.

Two texts that agree in all rows of one band are candidates (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, chapter 3). Candidates only: what verifies them is `filters.clusters`.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tracemill.filters.words import MULTIPLIER, mixed, words_of

if TYPE_CHECKING:
    from tracemill.filters.words import U32, U64, Ints

SEED = 42
BATCH = 2**18
"""Characters hashed in one go, so that a batch's arrays stay near the caches (2**18: 44k documents of 2.2 kB a second;
2**16: 36k, 2**20: 38k)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How texts are compared. Signatures of two schemes cannot be compared with each other."""

    words: int
    """Words in a shingle."""
    bands: int
    rows: int
    """Minima in a band: two texts of Jaccard j share a band with probability 1 - (1 - j**rows)**bands."""
    threshold: float
    """Least Jaccard of the shingle sets of two texts that are near-duplicates."""
    numbers: float
    """Least share of the numbers of the text with fewer that the other has too, each as often as it occurs. An edit
    that adds or loses some leaves it at 1; other numbers in their place do not. 1.0 asks for the same in both."""


Preset = Literal["default", "aggressive", "prompts"]
PRESETS: dict[Preset, Scheme] = {
    "default": Scheme(words=5, bands=14, rows=8, threshold=0.6, numbers=0.9),
    "aggressive": Scheme(words=3, bands=25, rows=5, threshold=0.55, numbers=0.8),
    "prompts": Scheme(words=3, bands=25, rows=5, threshold=0.7, numbers=1.0),
}


@dataclass(frozen=True, slots=True)
class Hashes:
    """Of a few texts, one after the other: those of text i stand between its two offsets."""

    values: U64
    offsets: Ints
    """(texts + 1,)"""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def parts(self) -> list[U32]:
        """The upper halves by text, sorted."""
        import numpy as np

        halves = (self.values >> np.uint64(32)).astype(np.uint32)
        parts = np.split(halves, self.offsets[1:-1])
        for part in parts:
            part.sort()
        return parts


def folded(text: str) -> bytes:
    """As it is compared, but for its white space."""
    if text.isascii():
        return text.encode().lower()
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass").lower()  # five times as fast as casefold


def shingles(texts: Sequence[bytes], words: int) -> Hashes:
    """Hashes of every so many words in a row of each folded text."""
    found = words_of(texts)
    return _shingles(found.hashes(), found.ends, words)


def shingles_and_numbers(texts: Sequence[bytes], words: int) -> tuple[Hashes, Hashes]:
    """The same, and hashes of the words with a digit, as often as they occur: what verifies a pair."""
    import numpy as np

    found = words_of(texts)
    starts, ends, hashes = found.starts, found.ends, found.hashes()
    codes = np.frombuffer(found.data, dtype=np.uint8)
    digits = codes - np.uint8(ord("0")) < 10  # unsigned: what is below "0" wraps round
    counted = np.cumsum(digits, dtype=np.int32)
    numbered = np.flatnonzero(counted[starts + found.lengths - 1] > counted[starts - 1])
    numbers = Hashes(mixed(hashes[numbered]), _offsets(np.searchsorted(numbered, ends)))
    return _shingles(hashes, ends, words), numbers


def signatures(batch: Hashes, scheme: Scheme) -> U32:
    """(texts, bands * rows) minima; rows of a text without a shingle mean nothing."""
    import numpy as np
    from rensa import RMinHash

    size = scheme.bands * scheme.rows
    made = 1 << (size - 1).bit_length()  # rensa is a third faster at powers of two
    offsets = batch.offsets.astype(np.uint64)
    matrix: Any = RMinHash.digest_matrix_from_flat_token_hashes(batch.values, offsets, num_perm=made, seed=SEED)
    pack = struct.Struct(f"{made}I").pack  # it gives Python's numbers only; three times as fast as np.array of them
    packed = b"".join([pack(*row) for row in matrix.to_rows()])
    return np.frombuffer(packed, dtype=np.uint32).reshape(len(batch), made)[:, :size]


def band_keys(batch: Hashes, scheme: Scheme) -> U64:
    """(texts, bands) keys, in which the number of the band is mixed: equal keys are equal bands of equal number."""
    import numpy as np

    rows = signatures(batch, scheme).reshape(len(batch), scheme.bands, scheme.rows)
    keys = np.tile(np.arange(scheme.bands, dtype=np.uint64), (len(batch), 1))
    for row in range(scheme.rows):
        keys *= np.uint64(MULTIPLIER)
        keys += rows[:, :, row]
    return mixed(keys)


def _shingles(words: U64, ends: Ints, size: int) -> Hashes:
    """Hashes of every `size` words in a row within a text; `ends` are the numbers of words up to each text's end."""
    import numpy as np

    counts = np.diff(ends, prepend=0)
    found = words.copy()
    for offset in range(1, size):
        found *= np.uint64(MULTIPLIER)
        found[:-offset] += words[offset:]
    inside = np.ones(len(words), dtype=np.bool_)  # False where a text ends before the shingle does
    for back in range(1, size):
        inside[ends[counts >= back] - back] = False
    for text in np.flatnonzero((counts > 0) & (counts < size)).tolist():  # too short for a shingle: all of its words
        first, value = int(ends[text] - counts[text]), 0
        for word in words[first : ends[text]].tolist():
            value = (value * MULTIPLIER + word) % 2**64
        found[first], inside[first] = value, True
    kept = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
    return Hashes(mixed(found[inside]), _offsets(np.cumsum(kept)))


def _offsets(ends: Ints) -> Ints:
    import numpy as np

    return np.concatenate([np.zeros(1, dtype=np.int64), ends])
