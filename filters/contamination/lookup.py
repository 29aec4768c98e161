"""Look-ups in sorted hashes: which there may be, by a bitmap that fits the processor's cache; and where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracemill.filters.contamination.ngrams import Hashes, Places

_BITS = (1 << np.arange(8)).astype(np.uint8)


class Bitmap:
    """Which hashes there may be: a bit for each hash's highest bits, at least 32 times as many as hashes."""

    def __init__(self, hashes: Hashes) -> None:
        bits = min(32, max(16, len(hashes).bit_length() + 5))
        self.byte, self.bit = np.uint64(67 - bits), np.uint64(64 - bits)
        self.data = np.zeros(1 << bits - 3, np.uint8)
        np.bitwise_or.at(self.data, hashes >> self.byte, self._masks(hashes))

    def may_have(self, hashes: Hashes) -> NDArray[np.bool_]:
        """True for those that are in, and for one in 32 of the others."""
        found: NDArray[np.bool_] = (self.data.take((hashes >> self.byte).view(np.int64)) & self._masks(hashes)) != 0
        return found

    def _masks(self, hashes: Hashes) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = _BITS.take((hashes >> self.bit).astype(np.uint8) & np.uint8(7))
        return found


def places_of(hashes: Hashes, wanted: Hashes) -> Places:
    """Where the wanted ones begin among sorted hashes; -1 for those that are not there."""
    if not len(hashes):
        return np.full(len(wanted), -1)
    low = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return np.where(hashes[low] == wanted, low, -1)


def runs_of(numbers: Places, others: Sequence[Places]) -> Iterator[tuple[int, int]]:
    """Where the numbers count up by one and the others stay the same: the first place of each run, and one past it."""
    if not len(numbers):
        return
    is_break = np.diff(numbers) != 1
    for other in others:
        is_break |= np.diff(other) != 0
    ends = [*(np.flatnonzero(is_break) + 1).tolist(), len(numbers)]
    yield from pairwise([0, *ends])
