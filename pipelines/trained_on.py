"""Which prompts of an evaluation a model has seen in training: contamination of data sets against them.

What a model was trained on stands in its card (`pipelines.model_card`), or the user says it. A prompt of the evaluation
is contaminated where a training prompt is the same question (white space and case folded). Questions that are no
templates of a generator are looked for as `filters.contamination` does, in prompts and chains: 13 words in a row, or a
ratio of 95; such a match counts where the text has all numbers of the question, for templates that differ in their
numbers are other questions. Of generated tasks only the same question counts: any two of them share 13 words. Does not
see paraphrases, nor what the model's pretraining held.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tracemill.core.errors import InputError, NotFound
from tracemill.core.types import Item, Prompt
from tracemill.corpus import tables
from tracemill.corpus.selection import DatasetVersion, find
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql
from tracemill.factory.weights import model_at
from tracemill.filters.contamination.benchmarks import Part
from tracemill.filters.contamination.index import Index
from tracemill.filters.contamination.ngrams import words_of
from tracemill.filters.contamination.similar import Similar
from tracemill.pipelines import model_card
from tracemill.pipelines.generate_section import GenerateSection
from tracemill.pipelines.identity import FOLDERLESS
from tracemill.pipelines.plan import folded
from tracemill.pipelines.training_data import identity

GENERATED = "reasoning_gym:"
"""What the source of generated questions begins with."""
N, RATIO = 13, 95.0
_AT_ONCE = 256
_NUMBER = re.compile(r"(?:[-+*/^×÷]\s*)?\d+(?:[.,]\d+)*")
"""With the sign before it: the words of `4 + 3` and `4 - 3` are the same."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Data that a model was trained on."""

    dataset: str
    version: int | None = None
    """None for the newest."""
    take: str = "kept"
    """`kept`: the data set itself; else traces of its job, whatever was said of them."""
    identity: str = ""
    """As `training_data.identity` has it; "" where it is not known."""

    @classmethod
    def named(cls, name: str) -> Trained:
        """From `NAME` or `NAME@VERSION`. Raises InputError."""
        dataset, at, version = name.partition("@")
        if not dataset or (at and not version.isdigit()):
            raise InputError(f"--trained-on: {name!r} is no data set; give NAME or NAME@VERSION")
        return cls(dataset, int(version) if at else None)

    def __str__(self) -> str:
        return self.dataset if self.version is None else f"{self.dataset}@{self.version}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions that a model was trained to answer by reinforcement, which stand in no data set."""

    path: Path
    """JSONL beside the model, with the column `text`."""

    def __str__(self) -> str:
        return self.path.name

    def texts(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Prompts of an evaluation that a data set, or a file of questions, holds."""

    data: str
    """`NAME@VERSION`, or the name of the file."""
    prompts: frozenset[str]
    """Their ids."""
    example: str
    """The question of one of them."""


def data_of(generate: GenerateSection) -> tuple[Trained | Asked, ...]:
    """What the models of a recipe were trained on, as far as their folders say. Raises InputError for a broken card."""
    found: list[Trained | Asked] = []
    for section in (generate, *generate.mix):
        folder = None if section.engine in FOLDERLESS else model_at(section.model)
        for one in () if folder is None else model_card.trained_on(folder):
            if folder is not None and "questions" in one:
                found.append(Asked(folder / one["questions"]))
            else:
                found.append(Trained(one["dataset"], one["version"], one.get("take", "kept"), one.get("id", "")))
    return tuple(dict.fromkeys(found))


def overlaps(corpus: Corpus, prompts: Iterable[Prompt], data: Sequence[Trained | Asked]) -> tuple[Overlap, ...]:
    """The data that holds prompts of the evaluation. Raises NotFound for a data set that this corpus does not have."""
    if not data:
        return ()
    asked = {prompt.id: prompt for prompt in prompts}
    search = _Search(list(asked.values()))
    found = []
    for one in data:
        if isinstance(one, Asked):
            name, hits = str(one), search.asked(one.texts())
        else:
            version = _found(corpus, one)
            name, hits = f"{version.name}@{version.version}", search.seen(_items(corpus, version, one.take))
        if hit := frozenset(hits):
            first = next(prompt for prompt in asked.values() if prompt.id in hit)
            found.append(Overlap(name, hit, first.text))
    return tuple(found)


def _found(corpus: Corpus, data: Trained) -> DatasetVersion:
    """The data set that is meant, and no other of its name. Raises NotFound."""
    version = find(corpus, data.dataset, data.version)
    if data.identity and data.identity != identity(corpus, version, data.take):
        raise NotFound(f"dataset: {data} of {corpus.root} has other traces than the one that the model was trained on")
    return version


def _items(corpus: Corpus, version: DatasetVersion, take: str) -> Iterator[Item]:
    if take == "kept":
        values = {"name": version.name, "version": version.version}
        return map(tables.item_of, corpus.stream(named_sql("members"), values))
    return corpus.samples(version.job_id)


def contaminated(found: Iterable[Overlap]) -> frozenset[str]:
    """The ids of all prompts that some data set holds."""
    return frozenset(prompt for one in found for prompt in one.prompts)


def refuse(found: Sequence[Overlap], prompts: int) -> None:
    """Raises InputError where there is any overlap."""
    if not found:
        return
    where = ", ".join(f"{len(one.prompts):,} in {one.data}" for one in found)
    question = " ".join(found[0].example.split())
    shown = question if len(question) <= 80 else question[:79] + "…"
    raise InputError(
        f"evaluation: the model was trained on {len(contaminated(found)):,} of the {prompts:,} prompts ({where}; for "
        f"example {shown!r}); leave them out of the training data (hold_out: in its recipe), or count them with "
        "--allow-contamination"
    )


class _Search:
    """The prompts of an evaluation, to be found in training data."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.same: dict[str, list[str]] = {}
        for prompt in prompts:
            self.same.setdefault(folded(prompt.text), []).append(prompt.id)
        written = [prompt for prompt in prompts if not prompt.source.startswith(GENERATED)]
        self.numbers = {prompt.id: _numbers(prompt.text) for prompt in written}
        self.index = Index([Part("evaluation", prompt.id, "prompt", prompt.text, True) for prompt in written], N)
        self.similar = Similar(self.index, RATIO)

    def seen(self, items: Iterable[Item]) -> Iterator[str]:
        """Ids of prompts that these traces or their prompts hold, some more than once."""
        left, known = iter(items), set[str]()
        while batch := list(islice(left, _AT_ONCE)):
            questions = {item.prompt.id: item.prompt.text for item in batch if item.prompt.id not in known}
            known |= questions.keys()
            yield from self.asked(questions.values())
            if self.numbers:
                yield from self._written([f"{one.trace.reasoning}\n{one.trace.answer}" for one in batch])

    def asked(self, questions: Iterable[str]) -> Iterator[str]:
        """Ids of prompts that are these questions."""
        left = iter(questions)
        while batch := list(islice(left, _AT_ONCE)):
            for text in batch:
                yield from self.same.get(folded(text), ())
            if self.numbers:
                yield from self._written(batch, is_prompt=True)

    def _written(self, texts: Sequence[str], is_prompt: bool = False) -> Iterator[str]:
        """Of those that no generator made."""
        words = words_of(texts)
        hits = list(self.index.search_words(words))
        if is_prompt:
            hits += self.similar.search_words(words, {hit.text for hit in hits})
        numbers = {number: _numbers(texts[number]) for number in {hit.text for hit in hits}}
        for hit in hits:
            if (is_prompt or hit.kind == "ngrams") and self.numbers[hit.part.item] <= numbers[hit.text]:
                yield hit.part.item


def _numbers(text: str) -> Counter[str]:
    """The numbers with the signs before them, each as often as it occurs."""
    found = _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))
    return Counter("".join(one.split()).replace(",", "") for one in found)
