"""Which rows of a matrix an earlier row stands for: leader clustering by cosine, with a second opinion of each pair.

Rows are taken in turn: one that is near enough to a row kept before, by the cosine and by whoever is asked of the pair,
is the kept row's; else it is kept itself. So each is near to its own keeper, never to it by way of others: a chain of
small steps from one idea to another merges nothing at its ends. Vectors are kept as int8 (a cosine is right to .005).

Each row is compared with every kept one, so the time grows with the rows times the kept ones: 200,000 in one group of
which all are kept are 2e10 cosines. The second opinion is asked of the NEAREST kept rows at most, so a row may be kept
beside one that it repeats, if that is farther down the list. This bounds both what is held of a row and what is asked.
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

NEAREST = 16
"""Kept rows of which a row's match is looked for."""
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

    `confirms(row, kept)` is asked of the NEAREST kept rows of at least this cosine, the nearest first.
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
            candidates = _nearest(near[place])
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
    """Add those of a part of the kept rows to what is near to each row of a block."""
    import numpy as np

    for place in np.flatnonzero((cosines >= least).any(axis=1)).tolist():
        columns = np.flatnonzero(cosines[place] >= least)
        columns = columns[np.argsort(-cosines[place, columns], kind="stable")[:NEAREST]]
        found = zip(cosines[place, columns].tolist(), part[columns].tolist(), strict=True)
        near[place] = _nearest([*near[place], *found])


def _nearest(pairs: list[tuple[float, int]]) -> list[tuple[float, int]]:
    return sorted(pairs, key=lambda pair: -pair[0])[:NEAREST]  # among equals the first


def _unit(vectors: Quantised, rows: Ints) -> Vectors:
    import numpy as np

    return unit(vectors[rows].astype(np.float32))
