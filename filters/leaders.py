"""Which rows of a matrix an earlier row stands for: leader clustering by cosine, with a second opinion of each pair.

Rows are taken in turn: one that is near enough to a row kept before, by the cosine and by whoever is asked of the pair,
is the kept row's; else it is kept itself. So each is near to its own keeper, never to it by way of others: a chain of
small steps from one idea to another merges nothing at its ends. Vectors are kept as int8 (a cosine is right to .005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tracemill.filters.embedding import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracemill.filters.embedding import Ints, Vectors

    Quantised = NDArray[np.int8]

_BLOCK, _SLICE = 256, 2**14
"""Rows that are compared in one go, and those that they are compared with: 16 MB of cosines."""


def quantised(vectors: Vectors) -> Quantised:
    """Rows of `parts` unit vectors side by side, as int8."""
    import numpy as np

    found: Quantised = np.rint(vectors * 127).astype(np.int8)
    return found


def kept_for(
    vectors: Quantised, rows: Ints, least: float, confirms: Callable[[int, int], bool]
) -> dict[int, tuple[int, float]]:
    """Of these rows, in this order: those that are not kept, each with the kept row and the cosine of the two.

    `confirms(row, kept)` is asked of the kept rows of at least this cosine, the nearest first.
    """
    import numpy as np

    kept: list[int] = []
    found: dict[int, tuple[int, float]] = {}
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        mine = _unit(vectors, block)
        near: list[list[tuple[float, int]]] = [[] for _ in block]
        for first in range(0, len(kept), _SLICE):
            part = np.array(kept[first : first + _SLICE])
            _add_near(near, mine @ _unit(vectors, part).T, part, least)
        within = mine @ mine.T
        for place, row in enumerate(block.tolist()):
            candidates = sorted(near[place], key=lambda pair: -pair[0])  # among equals the first
            match = next(((one, cosine) for cosine, one in candidates if confirms(row, one)), None)
            if match is None:
                kept.append(row)
                later = np.flatnonzero(within[place] >= least)
                for other in later[later > place].tolist():
                    near[other].append((float(within[place, other]), row))
            else:
                found[row] = match
    return found


def _add_near(near: list[list[tuple[float, int]]], cosines: Vectors, part: Ints, least: float) -> None:
    import numpy as np

    for place, column in np.argwhere(cosines >= least).tolist():
        near[place].append((float(cosines[place, column]), int(part[column])))


def _unit(vectors: Quantised, rows: Ints) -> Vectors:
    import numpy as np

    return unit(vectors[rows].astype(np.float32))
