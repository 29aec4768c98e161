"""Drops a trace that repeats another nearly word for word: MinHash candidates, verified by their real shingles.

Reasoning and answer are compared. Two chains with other numbers are two chains, however alike the rest: numbers are not
folded, and must agree by themselves. Two prompts with another reference or other numbers are two problems, so their
traces are not compared; nor are chains of under 120 characters across prompts, which say too little. What a "word" is,
and what stays in memory: `filters.minhash`, `filters.clusters`. Does not see paraphrases.

| preset | shingle | bands x rows | Jaccard | share of numbers | recall at 1 / 2 / 5 % edits (bench/duplicates.py) |
|---|---|---|---|---|---|
| default | 5 words | 14 x 8 | .6 | .9 | .9995 / .967 / .28 |
| aggressive | 3 words | 25 x 5 | .55 | .8 | 1 / 1 / .9995 |
| prompts | 3 words | 25 x 5 | .7 | same | of `near_duplicate_prompts` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

from tracemill.core.errors import InputError
from tracemill.core.plugins import SieveExample
from tracemill.core.types import Drop, Item, Prompt
from tracemill.filters.clusters import Copy, Keep, Text, copies
from tracemill.filters.minhash import PRESETS, Scheme
from tracemill.filters.quantities import quantities

SHORT = 120
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """One trace of a cluster is kept; the others' drops name it."""

    preset: Literal["default", "aggressive"] = "default"
    threshold: float | None = None
    """Least Jaccard of the shingle sets, instead of the preset's. Under .6 the default's bands miss most pairs."""
    scope: Literal["all", "prompt", "corpus"] = "all"
    """`prompt` compares the traces of one prompt only; `corpus` also with those that earlier jobs have kept, which stay
    (over files, where there is no corpus, it is `all`)."""
    keep: Keep = "first"
    """Of a cluster: the first in the order of the items, or the one of fewest or most characters."""

    name: ClassVar[str] = "near_duplicates"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InputError(f"threshold: must be over 0 and at most 1, got {self.threshold}")

    @property
    def scheme(self) -> Scheme:
        """How traces are compared."""
        scheme = PRESETS[self.preset]
        return scheme if self.threshold is None else replace(scheme, threshold=self.threshold)

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops with reason `near_duplicate`, in the order of the items.

        The detail is `<kept trace>: jaccard <j>`; where the kept one itself is not as near, `… with <trace>` follows:
        the member of the cluster that it was nearest by.
        """
        return map(self.drop, copies(map(self.text, items), self.scheme, self.keep))

    def drop(self, copy: Copy) -> Drop:
        """What is said of a copy."""
        indirect = "" if copy.pair == copy.keeper else f" with {copy.pair}"
        detail = f"{copy.keeper}: jaccard {copy.jaccard:.3f}{indirect}"
        return Drop(copy.id, self.name, self.version, "near_duplicate", detail)

    def text(self, item: Item) -> Text:
        """What of an item is compared, and within what."""
        trace = item.trace
        text = f"{trace.reasoning}\n{trace.answer}"
        within_prompt = self.scope == "prompt" or len(text) < SHORT
        group = f"prompt {trace.prompt_id}" if within_prompt else problem(item.prompt.text, item.prompt.reference)
        return Text(trace.id, text, group)


@lru_cache(maxsize=1024)
def problem(text: str, reference: str) -> str:
    """What two prompts must have in common for their traces to be compared: many puzzles have no reference to tell."""
    return f"problem {' '.join(_NUMBER.findall(text))} {reference}"


def near_duplicate_prompts(prompts: Iterable[Prompt], keep: Keep = "first") -> list[Copy]:
    """Prompts of the same reference whose text repeats another's with the same numbers, by the preset `prompts`.

    Spelled-out numbers count. Where there is no reference nothing says that "a knight" and "a knave" are one question,
    so only those that are equal but for case, white space and punctuation repeat each other.
    """
    return copies((Text(prompt.id, prompt.text, _asked(prompt)) for prompt in prompts), PRESETS["prompts"], keep)


def _asked(prompt: Prompt) -> str:
    if not prompt.reference.strip():
        return f"no reference {' '.join(_WORD.findall(prompt.text.casefold()))}"
    return f"{sorted(quantities(prompt.text).numbers.elements())} {prompt.reference}"


plugin = NearDuplicates()

_CHAIN = (
    "Let me think about this step by step. The farmer has 48 sheep and sells a quarter of them at the market: this is "
    "12 sheep. Then he has 36 sheep left over. After that he buys as many lambs as he had sold, so 12 more join "
    "the flock, and in the end there are 36 + 12 = 48 animals on the farm. So the answer is the number he began with."
)
_EDITED = _CHAIN.replace("left over", "left")
_RENUMBERED = _CHAIN.replace("48", "64").replace("36", "48").replace("12", "16")
_OTHER = (
    "We are told that a quarter of the sheep are sold and that as many lambs are bought afterwards. Selling n and "
    "buying n leaves the total as it was, whatever n is; there is no need to work out n at all. Hence it stays 48."
)
EXAMPLES = (
    SieveExample([("p", _CHAIN, "48"), ("p", _OTHER, "48")], (), "right: two ways to one answer"),
    SieveExample([("p", _CHAIN, "48"), ("q", _EDITED, "48"), ("p", _CHAIN, "48")], (1, 2), "wrong: edited; equal"),
    SieveExample([("p", _CHAIN, "48"), ("q", _RENUMBERED, "64")], (), "adversarial: same template, other numbers"),
    SieveExample([("p", "It is 4.", "4"), ("q", "It is 4.", "4")], (), "adversarial: a short chain of two prompts"),
    SieveExample(
        [("p", _CHAIN, "48"), ("q", _CHAIN, "48")], (), "right: within a prompt only, if asked", {"scope": "prompt"}
    ),
    SieveExample(
        [("p", _CHAIN, "48"), ("q", _EDITED, "48")], (0,), "wrong: the shortest is kept", {"keep": "shortest"}
    ),
)
