"""How much pairs of sets or multisets of hashes have in common, many pairs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracemill.filters.words import mixed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracemill.filters.words import U32, Ints

    Floats = NDArray[np.float64]


def shared(texts: Sequence[U32], pairs: Ints, multiset: bool = False) -> tuple[Ints, Ints]:
    """For pairs of texts, given by their sorted hashes: (pairs,) elements in common, (pairs, 2) elements of each."""
    import numpy as np

    counts = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    tagged = np.repeat(np.arange(len(texts), dtype=np.uint64) << np.uint64(32), counts) | np.concatenate(texts)
    first = np.ones(len(tagged), dtype=np.bool_)
    first[1:] = tagged[1:] != tagged[:-1]
    if multiset:  # the second 7 of a text is another element than the first, so that multisets become sets
        ranks = np.arange(len(tagged)) - np.maximum.accumulate(np.where(first, np.arange(len(tagged)), 0))
        elements = mixed((tagged & np.uint64(0xFFFFFFFF)) | ranks.astype(np.uint64) << np.uint64(32))
        elements >>= np.uint64(32)
    else:
        tagged = tagged[first]
        elements = tagged & np.uint64(0xFFFFFFFF)
    sizes = np.bincount((tagged >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    starts = np.cumsum(sizes) - sizes
    both = pairs.ravel()
    taken = sizes[both]
    within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
    of_pair = np.repeat(np.repeat(np.arange(len(pairs), dtype=np.uint64), 2), taken)
    keys = of_pair << np.uint64(32) | elements[np.repeat(starts[both], taken) + within]
    keys.sort(kind="stable")  # it merges what is sorted already: 4 ns an element, where quicksort takes 40
    equal = (keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64)
    common = np.bincount(equal, minlength=len(pairs))
    return common, sizes[pairs]


def jaccards(common: Ints, sizes: Ints) -> Floats:
    """Of what either has, the share that both have; 1.0 for two empty ones."""
    import numpy as np

    total = sizes.sum(axis=1) - common
    return np.where(total > 0, common / np.maximum(total, 1), 1.0)


def containments(common: Ints, sizes: Ints) -> Floats:
    """Of what the smaller one has, the share that the other has; 1.0 where it is empty."""
    import numpy as np

    least = sizes.min(axis=1)
    return np.where(least > 0, common / np.maximum(least, 1), 1.0)
