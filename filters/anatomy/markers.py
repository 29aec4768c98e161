"""What reasoning says when it checks, turns back, plans or concludes: the words that `filters.behaviours` looks for.

The table is markers.yaml. In languages with spaces a phrase counts where a clause begins, after such words as `so` and
`but` (particles); in Chinese and Japanese anywhere. The kinds are the four habits (arXiv 2503.01307, section 2 and its
appendix of prompts) and what divides a chain into the parts of Thoughtology (arXiv 2504.07128, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

HABITS = ("verification", "backtracking", "subgoals", "backward_chaining")
"""The four that are counted."""
PARTS = ("work", "again", "answer", "final")
"""The first step after the problem was stated, a new cycle, an answer named, the last decision."""
KINDS = (*HABITS, *PARTS)
WITHOUT_SPACES = ("zh", "ja")
_BETWEEN = re.compile(r"\|(?![^\[]*\])")
"""What separates phrases: a bar outside brackets."""


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """Language → kind, `particles` or `commonest` → text."""
    import yaml

    loaded: Any = yaml.safe_load((Path(__file__).parent / "markers.yaml").read_text(encoding="utf-8"))
    return {language: dict(texts) for language, texts in loaded.items()}


def words(language: str, name: str) -> frozenset[bytes]:
    """The language's `particles` or `commonest` words."""
    return frozenset(table()[language].get(name, "").encode().split())


def phrases(language: str, kinds: tuple[str, ...] = KINDS) -> Iterator[tuple[str, str]]:
    """Kind and phrase, with the brackets multiplied out."""
    for kind in kinds:
        for pattern in _BETWEEN.split(table()[language][kind]):
            groups = (group.split("|") for group in pattern.replace("]", "[").split("["))
            yield from ((kind, " ".join("".join(chosen).split())) for chosen in product(*groups))
