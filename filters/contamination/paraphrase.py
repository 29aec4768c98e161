"""Questions that are a benchmark's in other words: near by their embeddings, with the same numbers and formulas.

The cosine alone does not tell: 1 % of the training problems of GSM8K have one of .83 to some test question, and of the
paraphrases 70 % have less to their own. So a share of the numbers of both texts (spelled-out ones too) and of the signs
in their formulas has to be the same, and one number at least. Does not see what `similar` finds (other numbers in the
same words), nor a story told anew with other names and things, nor questions without numbers.

Measured by bench/semantic.py on 56 questions of GSM8K test and MATH-500 that were reworded by hand, 22 more that were
after the limits had been set, 20 retold with other names and things, and 15,921 training problems (GSM8K, MATH, MBPP)
in which nothing else is found, against the two and HumanEval:

| cosine | reworded | held out | retold | training problems hit |
|---|---|---|---|---|
| .6 | .88 | .86 | .05 | 64 |
| .65 | .82 | .86 | 0 | 36 |
| .7 | .75 | .82 | 0 | 19 |
| .75 | .68 | .68 | 0 | 12 |
| .8 | .41 | .59 | 0 | 9 |
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import numpy as np

from tracemill.filters.contamination.benchmarks import Part
from tracemill.filters.contamination.index import Hit
from tracemill.filters.embedding import embedder
from tracemill.filters.quantities import SIGNS, agreement, quantities

NUMBERS = 0.6
"""Least Jaccard of the numbers."""
_DIMENSIONS = 256
_quantities = lru_cache(maxsize=4096)(quantities)


class Paraphrases:
    """The questions of benchmarks that have a number."""

    def __init__(self, parts: Sequence[Part], least: float) -> None:
        """`least`: cosine. Raises SetupError where the extra `[semantic]` is not installed."""
        self.least = least
        self.parts = [part for part in parts if part.is_question and _quantities(part.text).numbers]
        self.vectors = embedder(_DIMENSIONS).embed([part.text for part in self.parts])

    def search(self, texts: Sequence[str], passed_over: Collection[int], start: int = 0) -> Iterator[Hit]:
        """The nearest question of each text, where it is near enough and agrees; `passed_over` are not looked at."""
        places = [place for place in range(len(texts)) if place not in passed_over]
        cosines = embedder(_DIMENSIONS).embed([texts[place] for place in places]) @ self.vectors.T
        for row in np.flatnonzero((cosines >= self.least).any(axis=1)).tolist():
            text = texts[places[row]]
            near = np.flatnonzero(cosines[row] >= self.least)
            for number in near[np.argsort(-cosines[row, near], kind="stable")].tolist():
                if _agree(text, self.parts[number].text):
                    similarity = min(1.0, float(cosines[row, number]))
                    yield Hit(start + places[row], self.parts[number], "paraphrase", text, similarity)
                    break


def _agree(text: str, question: str) -> bool:
    own, other = _quantities(text), _quantities(question)
    return (
        bool(own.numbers & other.numbers)
        and agreement(own.numbers, other.numbers) >= NUMBERS
        and agreement(own.signs, other.signs) >= SIGNS
    )
