"""Keeps, of each prompt's traces, the few that differ most from each other.

Farthest-point selection (Gonzalez 1985): the first trace is kept, then again and again the one whose nearest kept one
is the least similar, among equals the first. Similarity is the Jaccard of word pairs as 128 minima estimate it
(standard error up to .045), over the reasoning: it tells wordings apart, not ideas. Takes 256 bytes and the id of each
trace. Does not ask which traces are right: in a job, sieves see the correct ones only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import SieveExample
from tracemill.core.types import Drop, Item
from tracemill.filters import minhash
from tracemill.filters.words import batches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCHEME = minhash.Scheme(words=2, bands=16, rows=8, threshold=0, numbers=0)  # pairs: longer ones hardly ever recur


@dataclass(frozen=True, slots=True)
class Diverse:
    """The most different traces of a prompt are kept; the others' drops name the kept one that is nearest."""

    keep: int = 4
    """Traces kept of each prompt."""

    name: ClassVar[str] = "diverse"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise InputError(f"keep: must be at least 1, got {self.keep}")

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops with reason `less_different` and `<nearest kept trace>: similarity <0 to 1>`, in the items' order."""
        import numpy as np

        ids: list[str] = []
        prompts: dict[str, list[int]] = {}
        parts: list[NDArray[np.uint16]] = []

        def texts() -> Iterator[str]:
            for item in items:
                prompts.setdefault(item.trace.prompt_id, []).append(len(ids))
                ids.append(item.trace.id)
                yield item.trace.reasoning

        for batch in batches(texts(), minhash.BATCH):
            shingles = minhash.shingles(list(map(minhash.folded, batch)), _SCHEME.words)
            parts.append(minhash.signatures(shingles, _SCHEME).astype(np.uint16))  # 2**-16 of unequal ones look equal
        signatures = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.uint16)
        found: dict[int, Drop] = {}
        for numbers in prompts.values():
            for place, (near, similarity) in others(signatures[numbers], self.keep).items():
                detail = f"{ids[numbers[near]]}: similarity {similarity:.2f}"
                found[numbers[place]] = Drop(ids[numbers[place]], self.name, self.version, "less_different", detail)
        yield from (found[number] for number in sorted(found))


def others(signatures: NDArray[np.uint16], keep: int) -> dict[int, tuple[int, float]]:
    """Rows that are not among the most different, each with the nearest kept row and the similarity to it."""
    import numpy as np

    count = len(signatures)
    if count <= keep:
        return {}
    nearest, similarity = np.zeros(count, dtype=np.int64), np.full(count, -1.0)
    kept = [0]
    while True:
        last = (signatures == signatures[kept[-1]]).mean(axis=1)
        nearest = np.where(last > similarity, kept[-1], nearest)
        similarity = np.maximum(similarity, last)
        similarity[kept] = 2.0  # not chosen again
        if len(kept) == keep:
            return {one: (int(nearest[one]), float(similarity[one])) for one in range(count) if one not in kept}
        kept.append(int(similarity.argmin()))


plugin = Diverse()

_CHAIN = "Six times seven is the same as six sevens, so count them up: 7, 14, 21, 28, 35, 42. It is 42."
_NEAR = "Six times seven is the same as six sevens, so count them up: 7, 14, 21, 28, 35, 42. That is 42."
_FAR = "Half of twelve sevens. Twelve sevens are 84, as ten are 70 and two are 14. Half of 84 gives 42."
EXAMPLES = (
    SieveExample([("p", _CHAIN, "42"), ("p", _NEAR, "42"), ("p", _FAR, "42")], (), "right: no more than are kept"),
    SieveExample(
        [("p", _CHAIN, "42"), ("p", _NEAR, "42"), ("p", _FAR, "42")], (1,), "wrong: like another one", {"keep": 2}
    ),
    SieveExample(
        [("p", _CHAIN, "42"), ("q", _NEAR, "42"), ("r", _NEAR, "42")], (), "adversarial: of other prompts", {"keep": 1}
    ),
    SieveExample([("p", "", "42"), ("p", "", "42"), ("p", _FAR, "42")], (1,), "adversarial: no words", {"keep": 2}),
)
