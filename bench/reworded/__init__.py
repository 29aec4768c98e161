"""Questions and solutions in other words, written for this project; what they reword is named by its row, not copied.

`questions.jsonl`: questions of GSM8K test and MATH-500, by benchmark and row (from 1) of the files in DATA. `reworded`
keeps names and things, `retold` tells another story with the same numbers. The rows were drawn by chance. Those with
`held_out` were written after all limits had been set. `solutions.jsonl`: solutions of labelled/math_l5_outputs, by
problem and model, `reworded`, and the same problems solved in an `other_way`. `thesaurus.txt`: phrases and what
stands for them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, Any]]:
    """Of `questions` or `solutions`."""
    return [json.loads(line) for line in (_HERE / f"{name}.jsonl").read_text().splitlines()]


class Thesaurus:
    """Rewords any text: a third of the words of chains of thought change."""

    def __init__(self) -> None:
        pairs = (line.partition("=") for line in (_HERE / "thesaurus.txt").read_text().splitlines())
        self.others: dict[str, str] = {phrase: other for phrase, _, other in pairs}
        phrases = "|".join(sorted(map(re.escape, self.others), key=len, reverse=True))
        self.pattern = re.compile(rf"(?<![\w\\$])(?:{phrases})(?![\w$'])", re.IGNORECASE)

    def reworded(self, text: str) -> str:
        return self.pattern.sub(self._other, text)

    def _other(self, match: re.Match[str]) -> str:
        other = self.others[match[0].lower()]
        return other[0].upper() + other[1:] if match[0][0].isupper() else other
