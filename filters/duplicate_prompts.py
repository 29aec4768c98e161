"""Drops the traces of a prompt that repeats another: nearly word for word, or, if asked, in other words.

Compared are the prompts alone: by MinHash and their real shingles (`filters.minhash`, preset `prompts`: 3 words,
Jaccard .7), and with `semantic` those that are left by the cosine of their embeddings (`filters.semantic_duplicates`:
about half of reworded questions are found; of 16,766 real ones 21 were merged, none of them seen to be another
question). Two with another reference, or other numbers, are two problems. All traces of a prompt stay or fall together,
and the drop names the prompt that is kept, by its id.

In memory are, of each trace, its id; of each prompt what `filters.clusters` keeps. With `semantic` all prompts are as
well, with their texts and without their metadata, until the sieve is done: they are read once, and which of them are
compared by meaning is known only after the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import SieveExample
from tracemill.core.types import Drop, Item, Prompt
from tracemill.filters.clusters import Keep
from tracemill.filters.embedding import need_model
from tracemill.filters.near_duplicates import near_duplicate_prompts
from tracemill.filters.semantic_duplicates import Restated, semantic_duplicate_prompts


@dataclass(frozen=True, slots=True)
class DuplicatePrompts:
    """One prompt of a cluster keeps its traces."""

    semantic: float | None = None
    """Least cosine, 0 to 1, of questions in other words; None looks for none. Needs the extra `[semantic]`."""
    keep: Keep = "first"
    """The prompt that first has a trace, or the one of fewest or most characters."""

    name: ClassVar[str] = "duplicate_prompts"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if self.semantic is not None and not 0 < self.semantic <= 1:
            raise InputError(f"semantic: must be over 0 and at most 1, got {self.semantic}")
        if self.semantic is not None:
            need_model("semantic")

    def sift(self, items: Iterable[Item]) -> Iterator[Drop]:
        """Drops with reason `duplicate_prompt` in the items' order.

        The detail is `<first trace of the kept prompt>: jaccard <j>`, or `cosine <c>`; where the two are near by way of
        a third, that fell itself, both: `…: jaccard <j> with <its first trace>, which has cosine <c>`.
        """
        traces: list[tuple[str, str]] = []
        firsts: dict[str, str] = {}

        def prompts() -> Iterator[Prompt]:
            for item in items:
                traces.append((item.trace.id, item.prompt.id))
                if item.prompt.id not in firsts:
                    firsts[item.prompt.id] = item.trace.id
                    yield item.prompt

        repeated = self.repeated(prompts())
        for trace, prompt in traces:
            if prompt in repeated:
                detail = repeated[prompt].described(firsts)
                yield Drop(trace, self.name, self.version, "duplicate_prompt", detail)

    def repeated(self, prompts: Iterable[Prompt]) -> dict[str, Repeated]:
        """By the id of each prompt that another one stands for, which that is. Raises SetupError without the extra."""
        held: list[Prompt] = []

        def held_too() -> Iterator[Prompt]:
            for prompt in prompts:
                if self.semantic is not None:
                    held.append(replace(prompt, metadata={}))
                yield prompt

        copies = near_duplicate_prompts(held_too(), self.keep)
        reworded: dict[str, Restated] = {}
        if self.semantic is not None:
            near = {copy.id for copy in copies}
            rest = (prompt for prompt in held if prompt.id not in near)
            reworded = {one.id: one for one in semantic_duplicate_prompts(rest, self.semantic, self.keep)}
        found = {one.id: Repeated(one.keeper, cosine=one.similarity) for one in reworded.values()}
        for copy in copies:
            fallen = reworded.get(copy.keeper)
            found[copy.id] = (
                Repeated(copy.keeper, copy.jaccard)
                if fallen is None
                else Repeated(fallen.keeper, copy.jaccard, copy.keeper, fallen.similarity)
            )
        return found


@dataclass(frozen=True, slots=True)
class Repeated:
    """What stands for a prompt, and why."""

    keeper: str
    """Id of the prompt that is kept."""
    jaccard: float | None = None
    by: str | None = None
    """Id of the prompt that it nearly repeats, if that fell itself for `keeper`, in other words."""
    cosine: float | None = None

    def described(self, names: Mapping[str, str]) -> str:
        """In a line; `names` of the prompts."""
        parts = [] if self.jaccard is None else [f"jaccard {self.jaccard:.3f}"]
        if self.by is not None:
            parts += [f"with {names[self.by]}, which has"]
        parts += [] if self.cosine is None else [f"cosine {self.cosine:.3f}"]
        return f"{names[self.keeper]}: {' '.join(parts)}"


plugin = DuplicatePrompts()

_ASKED = (
    "A farmer has 48 sheep and sells a quarter of them. Then he buys as many lambs as he had sold. How many are left?"
)
_AGAIN = _ASKED.replace("Then he buys", "After that he buys")
_OTHER = _ASKED.replace("48", "64")
_REWORDED = (
    "A sheep farmer with 48 sheep sells one quarter of the flock and afterwards buys the same number of lambs as he "
    "sold before. How many animals has the farmer left?"
)
EXAMPLES = (
    SieveExample([(_ASKED, "Twelve go.", "42"), (_ASKED, "A quarter is 12.", "42")], (), "right: two traces of one"),
    SieveExample([(_ASKED, "A", "42"), (_REWORDED, "B", "42")], (), "right: other words pass, if not asked"),
    SieveExample([(_ASKED, "A", "42"), (_AGAIN, "B", "42"), (_AGAIN, "C", "42")], (1, 2), "wrong: asked again"),
    SieveExample([(_ASKED, "A", "42"), (_REWORDED, "B", "42")], (1,), "wrong: in other words", {"semantic": 0.7}),
    SieveExample([(_ASKED, "A", "42"), (_OTHER, "B", "42")], (), "adversarial: other numbers", {"semantic": 0.7}),
    SieveExample([(_ASKED, "A", "42"), (_AGAIN, "B", "42")], (0,), "wrong: the longer is kept", {"keep": "longest"}),
)
