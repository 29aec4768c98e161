"""What a training reads of the corpus: which traces of which data sets, and their ids, which make it that training."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracemill.core.errors import InputError, NotFound
from tracemill.core.types import Item, Prompt, Trace
from tracemill.corpus import tables
from tracemill.corpus.selection import DatasetVersion, find
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql
from tracemill.filters.privacy import masked
from tracemill.pipelines.train_section import DataSection
from tracemill.trainers.rewards import PREFERENCE
from tracemill.trainers.rows import Pair


@dataclass(frozen=True, slots=True)
class Part:
    """Chosen traces of one data set or of its job."""

    section: DataSection
    dataset: DatasetVersion
    ids: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of the traces, in their order, and of how answers to their prompts are rewarded."""
        rewarded = "" if self.section.reward == "rule" else self.section.reward
        return hashlib.blake2b("".join((*self.ids, rewarded)).encode(), digest_size=16).hexdigest()

    def plain(self) -> dict[str, Any]:
        """As it is written down."""
        found = {"dataset": self.dataset.name, "version": self.dataset.version, "rows": len(self.ids)}
        told = {"take": self.section.take, "reward": self.section.reward}
        return found | {name: value for name, value in told.items() if value not in ("kept", "rule")}


def parts(corpus: Corpus, sections: Sequence[DataSection], seed: int) -> tuple[Part, ...]:
    """The traces that a recipe's `data` names. Raises NotFound, and InputError where there are none."""
    found = []
    for at, section in enumerate(sections):
        dataset = _dataset(corpus, section.of, f"train.data[{at}].of")
        ids = _ids(corpus, section, dataset)
        if not ids:
            raise InputError(f"train.data[{at}]: {section.of} has no trace to take ({section.take})")
        if (rows := _rows(corpus, section, at)) is not None:
            if rows > len(ids):
                field = "rows" if section.rows else "as_many_as"
                raise InputError(f"train.data[{at}].{field}: {section.of} has {len(ids):,} traces, not {rows:,}")
            ids = _drawn(ids, rows, seed)
        found.append(Part(section, dataset, tuple(ids)))
    return _shared(found, seed)


def _dataset(corpus: Corpus, name: str, where: str) -> DatasetVersion:
    """Raises InputError and NotFound, which begin with `where`."""
    name, at, version = name.partition("@")
    if at and not version.isdigit():
        raise InputError(f"{where}: {version!r} is no version; give NAME@NUMBER")
    try:
        return find(corpus, name, int(version) if at else None)
    except NotFound as error:
        raise NotFound(f"{where}: {str(error).removeprefix('dataset: ')}") from error


def _rows(corpus: Corpus, section: DataSection, at: int) -> int | None:
    """How many traces are taken; None for all."""
    if not section.as_many_as:
        return section.rows
    return sum(_dataset(corpus, name, f"train.data[{at}].as_many_as").rows for name in section.as_many_as)


def _ids(corpus: Corpus, section: DataSection, dataset: DatasetVersion) -> list[str]:
    if section.take == "kept":
        rows = corpus.rows(named_sql("member_ids"), {"name": dataset.name, "version": dataset.version})
    else:
        values = {"job": dataset.job_id, "well_formed": section.take == "well_formed"}
        rows = corpus.rows(named_sql("sample_ids"), values)
    return [row["id"] for row in rows]


def _drawn(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """So many of them, in their order."""
    places = sorted(random.Random(seed).sample(range(len(ids)), count))
    return [ids[place] for place in places]


def _shared(found: list[Part], seed: int) -> tuple[Part, ...]:
    """As many of each as its share allows."""
    if not all(part.section.share for part in found) or not found:
        return tuple(found)
    shares = [part.section.share or 0.0 for part in found]
    whole = min(len(part.ids) / share for part, share in zip(found, shares, strict=True))
    return tuple(
        Part(part.section, part.dataset, tuple(_drawn(part.ids, max(1, round(whole * share)), seed)))
        for part, share in zip(found, shares, strict=True)
    )


def items(corpus: Corpus, part: Part) -> Iterator[Item]:
    """The traces with their prompts, in their order; personal data masked as the data set is exported."""
    kinds = part.dataset.selection.masks
    for item, _ in _labelled(corpus, part):
        yield Item(item.prompt, _masked(item.trace, item.prompt, kinds))


def _labelled(corpus: Corpus, part: Part) -> Iterator[tuple[Item, str | None]]:
    """The traces, each with the label that it was judged by where that is not the prompt's reference."""
    wanted, dataset = set(part.ids), part.dataset
    if part.section.take == "kept":
        values = {"name": dataset.name, "version": dataset.version}
        every = ((tables.item_of(row), row["label"]) for row in corpus.stream(named_sql("members"), values))
    else:
        every = ((item, None) for item in corpus.samples(dataset.job_id))
    return (one for one in every if one[0].trace.id in wanted)


def pairs(corpus: Corpus, part: Part) -> Iterator[Pair]:
    """Each chosen trace with a wrong one of its prompt, where there is one left."""
    wanted, kinds = set(part.ids), part.dataset.selection.masks
    values = {"name": part.dataset.name, "version": part.dataset.version, "job": part.dataset.job_id}
    for row in corpus.stream(named_sql("pairs"), values):
        chosen, rejected = tables.trace_of(row["chosen"]), tables.trace_of(row["rejected"])
        if chosen.id in wanted:
            asked = tables.prompt_of(row["prompt"])
            yield asked, _masked(chosen, asked, kinds), _masked(rejected, asked, kinds)


def _masked(trace: Trace, prompt: Prompt, kinds: tuple[str, ...]) -> Trace:
    return masked(trace, prompt, kinds) if kinds else trace


def questions(corpus: Corpus, part: Part) -> Iterator[Prompt]:
    """The prompts of the traces, each once, with what rewards their answers.

    A majority's answer is the reference where it was the label; a reward model needs none.
    """
    known: set[str] = set()
    for item, label in _labelled(corpus, part):
        if item.prompt.id not in known:
            known.add(item.prompt.id)
            if part.section.reward == "preference":
                yield replace(item.prompt, verifier=PREFERENCE, reference="")
            else:
                yield item.prompt if label is None else replace(item.prompt, reference=label)
