"""Documents of about 2.2 KB spliced from real texts, with planted copies (1, 2, 5 % of the words replaced) and hard
negatives (the same text with other numbers)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from labelled import rows

RATES = (0.01, 0.02, 0.05)
SIZE = 2_200
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class Planted:
    """Documents in an order in which each original stands before what was made of it."""

    documents: list[str] = field(default_factory=list)
    copies: dict[float, dict[int, int]] = field(default_factory=lambda: {rate: {} for rate in RATES})
    """For each rate of edits: number of the copy to number of its original."""
    hard_negatives: dict[int, int] = field(default_factory=dict)

    def part(self, most: int) -> Planted:
        """At most so many of them, with copies and hard negatives in about the same shares."""
        if most >= len(self.documents):
            return self
        pairs = [
            (kind, pair) for kind, of in [*self.copies.items(), (None, self.hard_negatives)] for pair in of.items()
        ]
        pairs = pairs[:: -(-len(self.documents) // most)]
        numbers = dict.fromkeys(original for _, (_, original) in pairs)
        others = (number for number in range(len(self.documents)) if number not in numbers)
        while len(numbers) + len(pairs) < most:
            numbers[next(others)] = None
        places = {number: place for place, number in enumerate([*numbers, *(made for _, (made, _) in pairs)])}
        found = Planted([self.documents[number] for number in places])
        for kind, (made, original) in pairs:
            into = found.hard_negatives if kind is None else found.copies[kind]
            into[places[made]] = places[original]
        return found


class Material:
    """Sentences of real chains and solutions, spliced anew."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sentences = [one for text in _texts() for one in _SENTENCE_END.split(text) if 20 <= len(one) <= 400]
        self.words = [word for one in self.sentences[::50] for word in one.split()]

    def document(self) -> str:
        """A few sentences in a row from here and there, up to SIZE characters."""
        pieces: list[str] = []
        size = 0
        while size < SIZE:
            start = self.random.randrange(len(self.sentences) - 3)
            piece = " ".join(self.sentences[start : start + self.random.randint(1, 3)])
            pieces.append(piece)
            size += len(piece) + 1
        return "\n".join(pieces)[:SIZE]

    def edited(self, document: str, rate: float) -> str:
        """With that share of its words replaced by words of the other texts."""
        words = document.split()
        for place in self.random.sample(range(len(words)), max(1, round(rate * len(words)))):
            words[place] = self.random.choice(
                [word for word in self.random.sample(self.words, 8) if word != words[place]]
            )
        return " ".join(words)

    def renumbered(self, document: str) -> str:
        """The same template: each number became another one, the same wherever it stood."""
        others: dict[str, str] = {}

        def other(match: re.Match[str]) -> str:
            number = match[0]
            while others.setdefault(number, str(self.random.randint(2, 10 ** (len(number) + 1)))) == number:
                del others[number]
            return others[number]

        return _NUMBER.sub(other, document)

    def planted(self, count: int, share: float = 0.02, negatives: float = 0.03) -> Planted:
        """So many documents: of each rate of edits that share are copies, and there are hard negatives."""
        found = Planted()
        made = [round(count * share)] * len(RATES)
        originals = count - sum(made) - round(count * negatives)
        found.documents = [self.document() for _ in range(originals)]
        order = self.random.sample(range(originals), originals)
        for rate, size in zip(RATES, made, strict=True):
            for original in order[:size]:
                found.copies[rate][len(found.documents)] = original
                found.documents.append(self.edited(found.documents[original], rate))
            del order[:size]
        numbered = [one for one in order if len(_NUMBER.findall(found.documents[one])) >= 3]
        for original in numbered[: round(count * negatives)]:
            found.hard_negatives[len(found.documents)] = original
            found.documents.append(self.renumbered(found.documents[original]))
        return found


def _texts() -> Iterator[str]:
    yield from (row["reasoning"] for row in rows("traces/long_reasoning"))
    yield from (row["output"] for row in rows("labelled/math_l5_outputs"))
    yield from (row["solution"] for row in rows("labelled/gsm8k_solutions"))
