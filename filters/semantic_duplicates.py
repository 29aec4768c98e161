"""Drops a trace that says what another trace of its prompt says, in other words: an embedding sieve.

Two chains are one where their embeddings are near *and* they compute the same numbers in the same order. Each chain
(reasoning and answer) is cut into four parts of equally many words; compared are the cosines part by part (64 int8
each, `filters.embedding`), the mean of which has to reach `threshold`, and the sequences of numbers (`1 - d / (a + b)`
for d numbers inserted and deleted), which have to reach `numbers`. A chain of less than five different numbers says too
little and is not compared. The mean of a whole chain blurs: of the 12 samples of a puzzle the median pair has a cosine
of .92, in four parts .87; the numbers do most of the telling.

Sees paraphrases and the same steps told at another length. Does not see, and so never drops: the same idea with other
steps; steps in another order; proofs, prose and code, which have few numbers, unless `numbers: 0` asks for none of them
(then the embedding alone decides, which cannot tell two chains on one subject from each other). Takes 0.8 kB a trace
at the peak, ids and all (0.23 GB at 200,000), and the numbers in a temporary file. Within a prompt the cost grows with
the square of what is kept of it, with `all` within a problem; the numbers are compared with those of 16 chains at most,
the nearest (`filters.leaders`).

Calibration (bench/semantic.py), pairs of a kind and how many are found:

| pairs | found | by the cosine alone | by near_duplicates, aggressive |
|---|---|---|---|
| 10 solutions of MATH, reworded by hand | .60 | .90 | 0 |
| 5 of them solved in another way | 0 | 0 | 0 |
| 2,708 correct solutions, reworded by a thesaurus | .91 | 1.00 | .20 |
| 627 chains of traces/long_reasoning, likewise (most have under five different numbers) | .38 | 1.00 | 0 |
| 2,798 of these with every number changed, and nothing else | 0 | 1.00 | 0 |

Of the real 2,708 solutions, by 12 models, 315 are dropped; of the 627 chains 2, both by a model that tends to say the
same over and over. Two solutions of one problem have a cosine of p50 .78, p90 .90, p99 .96; two chains .88, .95, .98.
Read were 15 drops: 14 are the same solution in other words, and one begins otherwise; and 12 pairs that one measure
keeps apart by little: 10 of them are the same, too. The limits are cautious.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from tracemill.core.errors import InputError
from tracemill.core.ids import content_id
from tracemill.core.plugins import SieveExample
from tracemill.core.spool import Spool
from tracemill.core.types import Drop, Item, Prompt
from tracemill.filters.clusters import Keep, order
from tracemill.filters.near_duplicates import problem
from tracemill.filters.quantities import SIGNS, agreement, computed, quantities

if TYPE_CHECKING:
    from tracemill.filters.leaders import Quantised

FEW = 5
"""Different numbers below which a chain says too little. Puzzles told with 1, 2 and 3 agree in these by chance."""
SAME_QUESTION = 0.75
"""Cosine from which two questions of the same numbers and answer are the same question."""
_PARTS, _PART_DIMENSIONS, _PROMPT_DIMENSIONS = 4, 64, 256
_PART_WORDS = 64
"""Least words of a part: in fewer, where a sentence stands says more than what it says."""
_BATCH = 2**18
"""Characters that are embedded at once."""


@dataclass(frozen=True, slots=True)
class SemanticDuplicates:
    """Of chains that are the same in other words one is kept; the others' drops name it."""

    threshold: float = 0.8
    """Least cosine, the mean over four parts."""
    numbers: float = 0.85
    """Least share of the numbers that both compute in the same order; 0 asks for none, by the embedding alone."""
    scope: Literal["prompt", "all"] = "prompt"
    """`all` compares the traces of prompts with equal references and equal numbers, too. Prompts with neither have
    nothing to be told apart by: theirs are compared within the prompt."""
    keep: Keep = "first"
    """Of those that are the same: the first in the order of the items, or the one of fewest or most characters."""

    name: ClassVar[str] = "semantic_duplicates"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if not 0.5 <= self.threshold <= 1:
            raise InputError(f"threshold: {self.threshold} is not between 0.5 and 1")
        if not 0 <= self.numbers <= 1:
            raise InputError(f"numbers: {self.numbers} is not between 0 and 1")

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops with reason `semantic_duplicate` and `<kept trace>: similarity <cosine>`, in the order of the items.

        Raises SetupError where the extra `[semantic]` is not installed.
        """
        texts = Texts(_PARTS, _PART_DIMENSIONS)
        texts.add(self.entry(item) for item in items)
        for one in texts.restated(self.threshold, self.keep, self._agree):
            detail = f"{one.keeper}: similarity {one.similarity:.2f}"
            yield Drop(one.id, self.name, self.version, "semantic_duplicate", detail)

    def entry(self, item: Item) -> Entry:
        """What of an item is compared, and within what."""
        trace = item.trace
        text = f"{trace.reasoning}\n{trace.answer}"
        hashes = array("I", (zlib.crc32(number.encode()) for number in computed(text)))
        group = trace.prompt_id
        if self.scope == "all" and (same := problem(item.prompt.text, item.prompt.reference)) != problem("", ""):
            group = same
        if self.numbers and len(set(hashes)) < FEW:
            group = ""
        return Entry(trace.id, text, group, hashes.tobytes())

    def _agree(self, one: bytes, other: bytes) -> bool:
        from rapidfuzz.distance import Indel

        sequences = array("I", one), array("I", other)
        if all(sequences) and sequences[0][-1] != sequences[1][-1]:  # what both come to
            return False
        return Indel.normalized_similarity(*sequences, score_cutoff=self.numbers) >= self.numbers


class Entry(NamedTuple):
    """A text with what else is compared of it."""

    id: str
    text: str
    group: str
    """Those of different groups are not compared; nor is one whose group is ""."""
    evidence: bytes


class Restated(NamedTuple):
    """A text that says what the kept one says."""

    id: str
    keeper: str
    similarity: float
    """Cosine, 0 to 1."""


@dataclass(slots=True)
class Texts:
    """What is kept of texts: vectors, ids, lengths, groups; the evidence in a file."""

    parts: int
    dimensions: int
    ids: list[str] = field(default_factory=list)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    """Characters."""
    groups: array[int] = field(default_factory=lambda: array("Q"))
    """64 bits of a hash of each; 0 for none."""
    _vectors: list[Quantised] = field(default_factory=list)
    _ends: array[int] = field(default_factory=lambda: array("q", [0]))
    _evidence: Spool = field(default_factory=Spool)

    def add(self, entries: Iterable[Entry]) -> None:
        """Embed them, some at a time. Raises SetupError where there is no model."""
        held: list[str] = []
        size = 0
        for entry in entries:
            self.ids.append(entry.id)
            self.lengths.append(len(entry.text))
            self.groups.append(int(content_id(entry.group)[:16], 16) if entry.group else 0)
            self._ends.append(self._ends[-1] + len(entry.evidence))
            self._evidence.write(entry.evidence)
            held.append(entry.text)
            size += len(entry.text)
            if size >= _BATCH:
                self._embed(held)
                held, size = [], 0
        self._embed(held)

    def _embed(self, texts: list[str]) -> None:
        from tracemill.filters.embedding import embedder
        from tracemill.filters.leaders import quantised

        self._vectors.append(quantised(embedder(self.dimensions).embed(texts, self.parts, _PART_WORDS)))

    def restated(self, least: float, keep: Keep, agree: Callable[[bytes, bytes], bool]) -> list[Restated]:
        """Those that a kept one of their group stands for, in the order of the texts. To be asked once.

        `agree` is asked of the evidence of two texts of at least the cosine `least`.
        """
        import numpy as np

        from tracemill.filters.leaders import kept_for

        self._evidence.seal()
        vectors = np.concatenate(self._vectors)
        self._vectors = [vectors]
        groups = np.array(self.groups, dtype=np.uint64)
        by_group = np.argsort(groups, kind="stable")
        cuts = np.flatnonzero(np.diff(groups[by_group])) + 1
        best = order(self.lengths, keep)
        found: dict[int, tuple[int, float]] = {}
        for rows in np.split(by_group, cuts):
            if len(rows) > 1 and groups[rows[0]]:
                turns = np.array(sorted(rows.tolist(), key=best))
                found |= kept_for(vectors, turns, least, lambda a, b: agree(self._read(a), self._read(b)))
        return [Restated(self.ids[n], self.ids[found[n][0]], found[n][1]) for n in sorted(found)]

    def _read(self, number: int) -> bytes:
        return self._evidence.read(self._ends[number], self._ends[number + 1])


def semantic_duplicate_prompts(
    prompts: Iterable[Prompt], threshold: float = SAME_QUESTION, keep: Keep = "first"
) -> list[Restated]:
    """Prompts that ask what another one asks, in other words.

    They have the same reference and the same numbers, spelled-out ones too; of the signs in their formulas
    SIGNS agree; the cosine of the whole texts reaches the threshold. One without numbers is not compared: many have
    the reference `True`. Raises SetupError where the extra `[semantic]` is not installed.
    """
    texts = Texts(1, _PROMPT_DIMENSIONS)
    texts.add(map(_asked, prompts))
    return texts.restated(threshold, keep, lambda one, other: agreement(_signs(one), _signs(other)) >= SIGNS)


def _asked(prompt: Prompt) -> Entry:
    numbers = sorted(quantities(prompt.text).numbers.elements())
    group = f"{' '.join(numbers)}\n{prompt.reference}" if numbers else ""
    return Entry(prompt.id, prompt.text, group, prompt.text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1024)
def _signs(text: bytes) -> Counter[tuple[str, str]]:
    return quantities(text.decode("utf-8", "surrogatepass")).signs


plugin = SemanticDuplicates()

_CHAIN = (
    "The bakery starts with 240 rolls. In the morning it sells 3/8 of them, which is 240 / 8 * 3 = 90 rolls, and 150 "
    "are left. In the afternoon 60 more rolls are baked, so there are 150 + 60 = 210. At the end of the day two "
    "thirds of these have been sold, that is 140, and 210 - 140 = 70 rolls remain."
)
_REWORDED = (
    "At first there are 240 rolls in the bakery. 3/8 of the rolls, so 240 / 8 * 3 = 90 of them, are sold during the "
    "morning; 150 remain. Then another 60 rolls come out of the oven after noon, which makes 150 + 60 = 210 rolls. Two "
    "thirds of those, 140, find buyers by the evening, and so 210 - 140 = 70 rolls are left over."
)
_OTHER_WAY = (
    "Work with fractions of the 240 rolls. Of the first batch 5/8 stays, and 60 is 1/4 of 240, so the afternoon starts "
    "with 5/8 + 2/8 = 7/8 of the batch. A third of that is never sold: 7/24 of 240. As 240 / 24 = 10, this is 7 * 10 = "
    "70 rolls."
)
_RENUMBERED = _REWORDED.replace("240", "320").replace("90", "120").replace("150", "200").replace("210", "260")
EXAMPLES = (
    SieveExample([("p", _CHAIN, "70"), ("p", _OTHER_WAY, "70")], (), "right: two ways to one answer"),
    SieveExample([("p", _CHAIN, "70"), ("p", _REWORDED, "70"), ("p", _OTHER_WAY, "70")], (1,), "wrong: reworded"),
    SieveExample(
        [("p", _CHAIN, "70"), ("p", _REWORDED, "70")], (0,), "wrong: the longest is kept", {"keep": "longest"}
    ),
    SieveExample([("p", _CHAIN, "70"), ("p", _RENUMBERED, "70")], (), "adversarial: the same words, other numbers"),
    SieveExample([("p", _CHAIN, "70"), ("q", _REWORDED, "70")], (), "right: of another prompt"),
    SieveExample(
        [("p", _CHAIN, "70"), ("q", _REWORDED, "70")], (1,), "wrong: of another prompt, if asked", {"scope": "all"}
    ),
    SieveExample(
        [("p", "It is 6 * 7 = 42.", "42"), ("p", "So 6 * 7 = 42.", "42")], (), "adversarial: few numbers say too little"
    ),
)
