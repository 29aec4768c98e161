"""Near-duplicates among any texts, prompts as well as traces: candidates by bands, real Jaccard, union-find, a keeper.

A pair counts where the Jaccard of its shingle sets (32-bit hashes of them) and what its numbers share reach the
scheme's limits, so a band that two texts share by chance merges nothing. Clusters are what pairs connect; which texts
they hold does not depend on the order of the texts, only who is kept does.

Memory: 144 bytes and the id a text (14 bands), 0.6 kB at the peak (measured: 0.29 GB at 400,000). The texts go to a
temporary file, as large as they are, and come back for candidates only.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from tracemill.core.ids import content_id
from tracemill.core.spool import Spool
from tracemill.filters import minhash, overlap
from tracemill.filters.minhash import Scheme
from tracemill.filters.words import batches, mixed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracemill.filters.overlap import Floats
    from tracemill.filters.words import U64, Ints

    Array = TypeVar("Array", bound=NDArray[Any])

Keep = Literal["first", "shortest", "longest"]
SMALL = 16
"""Texts of one band key of which all pairs are candidates; of more, each with the first and with the one before it."""
_CHUNK = 2**16
"""Shingles of pairs that are verified in one go."""


class Text(NamedTuple):
    """One text to be compared. Those of different groups never are."""

    id: str
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A text that another of its cluster stands for."""

    id: str
    keeper: str
    jaccard: float
    """Of the shingle sets of this text and `pair`."""
    pair: str
    """The keeper; or, where the keeper itself is not as near, the member of the cluster that connects them."""


@dataclass(slots=True)
class Sketches:
    """What is kept of texts. Fill it with `add`, then `seal` it once."""

    scheme: Scheme
    ids: list[str] = field(default_factory=list)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    """Characters."""
    _keys: list[U64] = field(default_factory=list)
    _prints: list[U64] = field(default_factory=list)
    """A sum over the shingles: equal for equal texts, whatever their order."""
    _counts: list[Ints] = field(default_factory=list)
    """Shingles."""
    _ends: array[int] = field(default_factory=lambda: array("q", [0]))
    """Of the texts in the file."""
    _spool: Spool = field(default_factory=Spool)

    def add(self, texts: Iterable[Text]) -> None:
        """Hash them, a batch at a time."""
        held: list[Text] = []

        def taken() -> Iterator[str]:
            for text in texts:
                held.append(text)
                yield text.text

        for batch in batches(taken(), minhash.BATCH):
            self._add(held[: len(batch)], list(map(minhash.folded, batch)))
            del held[: len(batch)]

    def _add(self, texts: list[Text], folded: list[bytes]) -> None:
        import numpy as np

        shingles = minhash.shingles(folded, self.scheme.words)
        keys = minhash.band_keys(shingles, self.scheme)
        codes = {group: int(content_id(group)[:16], 16) for group in {text.group for text in texts}}
        groups = np.array([codes[text.group] for text in texts], dtype=np.uint64)
        keys = mixed(keys ^ groups[:, None])
        self.ids += [text.id for text in texts]
        self.lengths.extend(len(text.text) for text in texts)
        self._keys.append(keys)
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(shingles.values)])[shingles.offsets]
        self._prints.append(np.diff(sums))
        self._counts.append(np.diff(shingles.offsets))
        self._ends.extend((np.cumsum(list(map(len, folded))) + self._ends[-1]).tolist())
        self._spool.write(b"".join(folded))

    def seal(self) -> None:
        """Nothing more is added; from now on pairs can be verified."""
        if self.ids:
            _joined(self._keys)
            _joined(self._prints)
            _joined(self._counts)
        self._spool.seal()

    @property
    def keys(self) -> U64:
        """(texts, bands)"""
        return _joined(self._keys)

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Texts that have a shingle."""
        return _joined(self._counts) > 0

    def candidates(self) -> Ints:
        """(pairs, 2) numbers of texts that share a band, each pair once, the smaller number first."""
        import numpy as np

        texts = np.flatnonzero(self.comparable)
        order = texts[np.argsort(self._prints[0][texts], kind="stable")]  # an order by content, whatever theirs is
        found = [_pairs(order, self.keys[order, band]) for band in range(self.scheme.bands)]
        joined = np.concatenate([np.zeros(0, dtype=np.int64), *found])
        joined = np.unique(joined)
        return np.stack([joined >> 32, joined & 0xFFFFFFFF], axis=1)

    def verified(self, pairs: Ints) -> tuple[Ints, Floats]:
        """The pairs that reach both limits, and the Jaccard of their shingle sets."""
        jaccards, numbers = self.measured(pairs)
        reached = (jaccards >= self.scheme.threshold) & (numbers >= self.scheme.numbers)
        return pairs[reached], jaccards[reached]

    def measured(self, pairs: Ints) -> tuple[Floats, Floats]:
        """For each pair, the Jaccard of its shingle sets, and how far its numbers agree (see `Scheme.numbers`)."""
        import numpy as np

        sizes = np.cumsum(self._counts[0][pairs].sum(axis=1))
        cuts = np.searchsorted(sizes, np.arange(_CHUNK, int(sizes[-1]) if len(sizes) else 0, _CHUNK))
        found = [self._measured(part) for part in np.split(pairs, np.unique(cuts)) if len(part)]
        none = np.zeros(0)
        return np.concatenate([none, *(one for one, _ in found)]), np.concatenate([none, *(one for _, one in found)])

    def _measured(self, pairs: Ints) -> tuple[Floats, Floats]:
        import numpy as np

        texts, places = np.unique(pairs, return_inverse=True)
        places = places.reshape(pairs.shape)
        folded = [self._spool.read(self._ends[text], self._ends[text + 1]) for text in texts.tolist()]
        shingles, numbers = minhash.shingles_and_numbers(folded, self.scheme.words)
        jaccards = overlap.jaccards(*overlap.shared(shingles.parts(), places))
        agreement = overlap.jaccards if self.scheme.numbers == 1 else overlap.containments
        return jaccards, agreement(*overlap.shared(numbers.parts(), places, multiset=True))


def _joined(parts: list[Array]) -> Array:
    import numpy as np

    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]
    return parts[0]


def copies(texts: Iterable[Text], scheme: Scheme, keep: Keep = "first") -> list[Copy]:
    """Those that another text of their cluster stands for, in the order of the texts.

    Kept is the first, or the one of fewest or most characters (among equals the first).
    """
    sketches = Sketches(scheme)
    sketches.add(texts)
    sketches.seal()
    return copies_among(sketches, range(len(sketches.ids)), keep)


def copies_among(sketches: Sketches, numbers: Collection[int], keep: Keep = "first") -> list[Copy]:
    """The same of these texts of sealed sketches."""
    import numpy as np

    if not numbers:
        return []
    asked = np.zeros(len(sketches.ids), dtype=np.bool_)
    asked[list(numbers)] = True
    pairs = sketches.candidates()
    return _stated(sketches, *sketches.verified(pairs[asked[pairs].all(axis=1)]), keep)


def connected(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """What the pairs connect (union-find): clusters of two or more, each ascending, by their smallest number."""
    parents: dict[int, int] = {}

    def root(one: int) -> int:
        parents.setdefault(one, one)
        while parents[one] != one:
            parents[one] = one = parents[parents[one]]
        return one

    for left, right in pairs:
        smaller, larger = sorted((root(left), root(right)))
        parents[larger] = smaller
    found: dict[int, list[int]] = {}
    for one in sorted(parents):
        found.setdefault(root(one), []).append(one)
    return [cluster for cluster in found.values() if len(cluster) > 1]


def _pairs(texts: Ints, keys: U64) -> Ints:
    """Pairs of texts with equal keys, each as smaller << 32 | larger."""
    import numpy as np

    by_key = np.argsort(keys, kind="stable")
    texts, keys = texts[by_key], keys[by_key]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(starts, append=len(keys))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    of_start = np.repeat(starts, sizes)
    at = of_start + np.arange(len(of_start)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    found = []
    for back in range(1, SMALL):
        near = (at - back >= of_start) & ((size <= SMALL) | (back == 1))
        found.append((texts[at[near]], texts[at[near] - back]))
    far = (size > SMALL) & (at > of_start)
    found.append((texts[at[far]], texts[of_start[far]]))
    left = np.concatenate([one for one, _ in found])
    right = np.concatenate([one for _, one in found])
    joined: Ints = np.minimum(left, right) << 32 | np.maximum(left, right)
    return joined


def _stated(sketches: Sketches, pairs: Ints, jaccards: Floats, keep: Keep) -> list[Copy]:
    """The copies among connected texts, each with the pair that says why."""
    import numpy as np

    known = dict(zip(map(tuple, pairs.tolist()), jaccards.tolist(), strict=True))
    best = order(sketches.lengths, keep)
    keepers = {cluster[0]: cluster[1:] for cluster in (sorted(one, key=best) for one in connected(known))}
    wanted = [(min(k, one), max(k, one)) for k, others in keepers.items() for one in others]
    missing = [pair for pair in wanted if pair not in known]
    more, their = sketches.verified(np.array(missing, dtype=np.int64).reshape(-1, 2))
    known.update(zip(map(tuple, more.tolist()), their.tolist(), strict=True))
    neighbours: dict[int, list[int]] = {}
    for left, right in known:
        neighbours.setdefault(left, []).append(right)
        neighbours.setdefault(right, []).append(left)
    found: dict[int, Copy] = {}
    for keeper in keepers:
        reached, front = {keeper}, [keeper]
        for near in front:  # breadth first, and it grows: each is stated by the nearest to the keeper that connects it
            for one in sorted(set(neighbours[near]) - reached):
                reached.add(one)
                front.append(one)
                jaccard = known[min(near, one), max(near, one)]
                found[one] = Copy(sketches.ids[one], sketches.ids[keeper], jaccard, sketches.ids[near])
    return [found[number] for number in sorted(found)]


def order(lengths: Sequence[int], keep: Keep) -> Callable[[int], tuple[int, int]]:
    """What the kept one of a cluster is the least by."""
    sign = {"first": 0, "shortest": 1, "longest": -1}[keep]
    return lambda number: (sign * lengths[number], number)
