"""Drops traces that hold text of a benchmark, in the prompt or in the chain.

What is looked for: n-grams of n words of an item's question or solutions; a question too short for these, as the whole
prompt; and, in prompts, questions that differ in a few characters (other numbers in the same sentence, say). Compared
without case, punctuation, white space and accents; numbers are never folded, so n words with another number among them
are other words. An n-gram that more than 20 items hold is the benchmark's template, and no evidence. Each match is
confirmed word by word. With `semantic`, prompts that are a question in other words as well (`paraphrase`). Does not see
translations. Ships no benchmark: without `against` and `items` it does nothing.

The field takes n = 8 (open-r1, on problems), 10 (DeepSeek-R1) and 13 (lm-eval, s1). Of the MATH training problems 8
drops 12.1 %, 10 drops 4.7 %, 13 drops 2.1 %, against MATH-500, GSM8K test and HumanEval; most are phrases of contests
(`Enter the letter of the correct option`), so 13 is the default here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tracemill.core.errors import InputError
from tracemill.core.ids import content_id
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Item, Prompt, Trace

if TYPE_CHECKING:
    from tracemill.filters.contamination.index import Hit, Index
    from tracemill.filters.contamination.paraphrase import Paraphrases
    from tracemill.filters.contamination.similar import Similar

PROMPT_REASONS = {
    "ngrams": "contaminated_prompt",
    "whole": "contaminated_prompt",
    "similar": "similar_prompt",
    "paraphrase": "paraphrased_prompt",
}
"""The reason of a drop by the kind of what was found in the prompt."""
QUOTED = 160
"""Characters of a match that the detail shows."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """Which benchmarks, and what counts as text of them."""

    against: tuple[str, ...] = ()
    """Files (.jsonl, .jsonl.gz, .parquet) and folders that `datasets` saved."""
    against_columns: tuple[str, ...] = ()
    """Their columns: the question's, then the solutions'. Empty: those with the names that benchmarks use."""
    items: tuple[str, ...] = ()
    """Questions given in the recipe itself, beside files: a held-out set of one's own, a canary sentence."""
    n: Literal[8, 10, 13] = 13
    min_coverage: float = 0.0
    """Least share of an item's n-grams, 0 to 1; 0 drops at the first."""
    fuzzy: float | None = 95.0
    """Least rapidfuzz ratio, 80 to 100, of a prompt to a question of n words or more; None compares no further."""
    semantic: float | None = None
    """Least cosine, .5 to 1, of a prompt to a question that it says in other words, with the same numbers and formulas;
    .7 finds three in four (`paraphrase`). None looks for none; else the extra `[semantic]` has to be installed."""
    digest: str = field(init=False, compare=False, repr=False)
    """Of what the files of `against` hold when this is made: the same names may hold something else tomorrow. "" for no
    files."""

    name: ClassVar[str] = "contamination"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        for path in self.against:
            if not Path(path).exists():
                raise InputError(f"against: no such file or folder: {path}")
        if not 0 <= self.min_coverage <= 1:
            raise InputError(f"min_coverage: {self.min_coverage} is not between 0 and 1")
        if self.fuzzy is not None and not 80 <= self.fuzzy <= 100:
            raise InputError(f"fuzzy: {self.fuzzy} is not between 80 and 100; null compares no further")
        if self.semantic is not None:
            from tracemill.filters.embedding import need_model

            if not 0.5 <= self.semantic <= 1:
                raise InputError(f"semantic: {self.semantic} is not between 0.5 and 1; null looks for no paraphrases")
            need_model("semantic")
        object.__setattr__(self, "digest", _digest(self.against))

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop with the reason of PROMPT_REASONS or `contaminated_chain`; the detail names item and match."""
        return self.check_all([Item(prompt, trace)])[0]

    def check_all(self, items: Sequence[Item]) -> list[Drop | None]:
        """The same of each."""
        if not (self.against or self.items):
            return [None] * len(items)
        hits = [_in_prompt(self, self.digest, item.prompt.text) for item in items]
        reasons = ["contaminated_chain" if hit is None else PROMPT_REASONS[hit.kind] for hit in hits]
        rest = [number for number, hit in enumerate(hits) if hit is None]
        texts = [text for number in rest for text in (items[number].trace.reasoning, items[number].trace.answer)]
        for hit in _hits(self, texts):
            number = rest[hit.text // 2]
            hits[number] = max(hits[number] or hit, hit, key=lambda one: one.coverage)
        return [
            None if hit is None else Drop(item.trace.id, self.name, self.version, reason, described(hit, self.n))
            for item, hit, reason in zip(items, hits, reasons, strict=True)
        ]


def described(hit: Hit, n: int) -> str:
    """The hit in a line: benchmark, item, column; how much of it; and what matches."""
    much = {
        "ngrams": f"{hit.coverage:.1%} of its {n}-grams",
        "whole": "the whole of it",
        "similar": f"ratio {100 * hit.coverage:.1f}",
        "paraphrase": f"similarity {hit.coverage:.2f}",
    }
    span = " ".join(hit.span.split())
    if len(span) > QUOTED:
        span = f"{span[: QUOTED // 2]} … {span[-QUOTED // 2 :]}"
    return f'{hit.part.benchmark}: {hit.part.item} ({hit.part.column}), {much[hit.kind]}: "{span}"'


def _digest(paths: Sequence[str]) -> str:
    if not paths:
        return ""
    files = (one for path in map(Path, paths) for one in (sorted(path.rglob("*")) if path.is_dir() else [path]))
    return content_id(*(hashlib.blake2b(one.read_bytes()).hexdigest() for one in files if one.is_file()))


@lru_cache(maxsize=4096)
def _in_prompt(told: Contamination, digest: str, text: str) -> Hit | None:
    """Remembered, since a prompt has many traces; by the digest, too: what the paths name may change."""
    from tracemill.filters.contamination.ngrams import words_of

    if hit := max(_hits(told, (text,), is_prompt=True), key=lambda one: one.coverage, default=None):
        return hit
    hits: Iterator[Hit] = iter(())
    if told.fuzzy is not None:
        hits = chain(hits, _similar(told, digest).search_words(words_of([text]), ()))
    if told.semantic is not None:
        hits = chain(hits, _paraphrases(told, digest).search([text], ()))
    return next(hits, None)


def _hits(told: Contamination, texts: Sequence[str], is_prompt: bool = False) -> Iterator[Hit]:
    """The hits that cover enough, by text. A short item counts as a whole prompt only."""
    for hit in _index(told, told.digest).search(texts):
        if (is_prompt or hit.kind == "ngrams") and hit.coverage >= told.min_coverage:
            yield hit


@lru_cache(maxsize=4)
def _index(told: Contamination, digest: str) -> Index:
    """Made once a process. Raises InputError where the files no longer hold what the drops are filed under."""
    from tracemill.filters.contamination.benchmarks import Part, parts_of
    from tracemill.filters.contamination.index import Index

    if _digest(told.against) != digest:
        raise InputError(f"against: {', '.join(told.against)} changed during the run; run it again")
    parts = [Part("items", f"row {number}", "items", text, True) for number, text in enumerate(told.items, 1)]
    for path in told.against:
        parts += parts_of(Path(path), told.against_columns, "against", "against_columns")
    return Index(parts, told.n)


@lru_cache(maxsize=4)
def _similar(told: Contamination, digest: str) -> Similar:
    from tracemill.filters.contamination.similar import Similar

    return Similar(_index(told, digest), told.fuzzy or 100.0)


@lru_cache(maxsize=4)
def _paraphrases(told: Contamination, digest: str) -> Paraphrases:
    from tracemill.filters.contamination.paraphrase import Paraphrases

    return Paraphrases(_index(told, digest).parts, told.semantic or 1.0)


plugin = Contamination()

_ITEM = "A baker bakes 48 loaves a day, sells 31 of them, and gives half of the rest to 5 schools. How many are left?"
_RENUMBERED = _ITEM.replace("48", "52").replace("31", "34").replace("5 ", "6 ")
_REWORDED = (
    "From 48 loaves that a baker bakes in a day, 31 are sold, and 5 schools get half of the rest. How many remain?"
)
_OTHER = "A farmer has 48 hens. Each of them lays 31 eggs before noon. How many eggs does he have to sell?"
_CHAIN = "Let me think. We count the loaves, take away what is sold, and halve it: 17 - 8.5 is no whole number. "
_AGAINST = {"items": [_ITEM, "Find the last digit of 7 to the 100th."]}
EXAMPLES = (
    FilterExample(_CHAIN, None, "right: a question of its own", prompt=_OTHER, options=_AGAINST),
    FilterExample(_CHAIN, None, "right: no benchmark is named", prompt=_ITEM),
    FilterExample(_CHAIN, "contaminated_prompt", "wrong: the question itself", prompt=_ITEM, options=_AGAINST),
    FilterExample(
        _CHAIN, "contaminated_prompt", "wrong: in capitals, on lines of its own", options=_AGAINST,
        prompt="\n".join(_ITEM.upper().split()),
    ),
    FilterExample(
        _CHAIN, "similar_prompt", "wrong: the same sentences with other numbers", options=_AGAINST,
        prompt=_RENUMBERED,
    ),
    FilterExample(
        _CHAIN, "paraphrased_prompt", "wrong: in other words, if asked", prompt=_REWORDED,
        options=_AGAINST | {"semantic": 0.7},
    ),
    FilterExample(_CHAIN + _ITEM, "contaminated_chain", "wrong: quoted in the chain", prompt=_OTHER, options=_AGAINST),
    FilterExample(
        _CHAIN, "contaminated_prompt", "wrong: a short question, as a whole", options=_AGAINST,
        prompt="FIND the last digit of $7$ to the 100th!",
    ),
    FilterExample(
        "So: find the last digit of 7 to the 100th. " + _CHAIN, None, "adversarial: a short question within a chain",
        prompt=_OTHER, options=_AGAINST,
    ),
    FilterExample(
        _CHAIN, None, "adversarial: other numbers, and no fuzzy ratio", options=_AGAINST | {"fuzzy": None},
        prompt=_RENUMBERED,
    ),
    FilterExample(
        _CHAIN, None, "adversarial: in other words, with other numbers", options=_AGAINST | {"semantic": 0.7},
        prompt=_REWORDED.replace("48", "52").replace("31", "34"),
    ),
    FilterExample(
        _CHAIN, None, "adversarial: only twelve words of it", options=_AGAINST,
        prompt="A baker bakes 48 loaves a day, sells 31 of them. Why?",
    ),
    FilterExample(
        _CHAIN, None, "adversarial: a small part, and a larger one asked for", options=_AGAINST | {"min_coverage": 0.5},
        prompt="A baker bakes 48 loaves a day, sells 31 of them, and gives up. When does he get up?",
    ),
)  # fmt: skip
