"""What a training reads of the corpus: which traces of which data sets, and their ids, which make it that training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracemill.core.errors import InputError, NotFound
from tracemill.core.ids import content_id
from tracemill.core.types import Item, Prompt, Trace
from tracemill.corpus import tables
from tracemill.corpus.selection import DatasetVersion, find
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql
from tracemill.filters.privacy import masked
from tracemill.pipelines.train_section import DataSection
from tracemill.trainers.options import Method
from tracemill.trainers.rewards import PREFERENCE
from tracemill.trainers.rows import Pair

PAIRED = ("dpo", "reward")
"""Methods whose rows are pairs."""


@dataclass(frozen=True, slots=True)
class Part:
    """Chosen traces of one data set or of its job."""

    section: DataSection
    dataset: DatasetVersion
    identity: str
    """Of the data set itself, or of its job: its name may stand for another one in another corpus."""
    ids: tuple[str, ...]
    beside: tuple[str, ...]
    """For each trace what it is used with: the id of its wrong one for DPO and reward models; for GRPO the label that
    the majority gave, else ""."""
    made: int
    """When the job's first trace was: trace ids tell job and sample, not the text, and the same job in another corpus
    may have come to others."""
    unpaired: int = 0
    """Kept traces, beyond these, without a wrong one left of the same prompt."""

    @property
    def digest(self) -> str:
        """Of all that makes its rows: traces in their order, partners, labels, who rewards, and what is masked."""
        told = (str(self.made), self.section.reward, *self.dataset.selection.masks)
        return content_id("part", *self.ids, *self.beside, *told)

    def drawn(self, count: int, seed: int) -> Part:
        """So many of the traces, in their order."""
        places = sorted(random.Random(seed).sample(range(len(self.ids)), count))
        ids, beside = (tuple(known[place] for place in places) for known in (self.ids, self.beside))
        return replace(self, ids=ids, beside=beside)

    def plain(self) -> dict[str, Any]:
        """As it is written down."""
        found = {
            "dataset": self.dataset.name, "version": self.dataset.version, "id": self.identity, "rows": len(self.ids),
        }  # fmt: skip
        told = {"take": self.section.take, "reward": self.section.reward, "unpaired": self.unpaired}
        return found | {name: value for name, value in told.items() if value not in ("kept", "rule", 0)}


def parts(corpus: Corpus, sections: Sequence[DataSection], seed: int, method: Method) -> tuple[Part, ...]:
    """The traces that a recipe's `data` names. Raises NotFound, and InputError where there are none."""
    found = []
    for at, section in enumerate(sections):
        part = _part(corpus, section, _dataset(corpus, section.of, f"train.data[{at}].of"), method)
        if not part.ids and part.unpaired:
            raise InputError(f"train.data[{at}]: no trace of {section.of} has a wrong one of its prompt to pair with")
        if not part.ids:
            raise InputError(f"train.data[{at}]: {section.of} has no trace to take ({section.take})")
        if (rows := _rows(corpus, section, at)) is not None:
            if rows > len(part.ids):
                field = "rows" if section.rows else "as_many_as"
                what = "pairs" if method in PAIRED else "traces"
                raise InputError(f"train.data[{at}].{field}: {section.of} has {len(part.ids):,} {what}, not {rows:,}")
            part = part.drawn(rows, seed)
        found.append(part)
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


def _part(corpus: Corpus, section: DataSection, dataset: DatasetVersion, method: Method) -> Part:
    """All that it may take."""
    rows = _traces(corpus, dataset, section.take)
    identity, unpaired = _identity(dataset, section.take, rows), 0
    if method in PAIRED:
        values = {"name": dataset.name, "version": dataset.version, "job": dataset.job_id}
        pairs = corpus.rows(named_sql("pairs"), values)
        unpaired, rows = len(rows) - len(pairs), pairs
        beside = [row["rejected"] for row in rows]
    else:
        judged = method == "grpo" and section.reward == "rule"
        beside = [row.get("label", "") if judged else "" for row in rows]
    made = corpus.rows(named_sql("first_made"), {"job": dataset.job_id})[0]["made"]
    return Part(section, dataset, identity, tuple(row["id"] for row in rows), tuple(beside), made, unpaired)


def _traces(corpus: Corpus, dataset: DatasetVersion, take: str) -> list[tables.Row]:
    if take == "kept":
        return corpus.rows(named_sql("member_ids"), {"name": dataset.name, "version": dataset.version})
    return corpus.rows(named_sql("sample_ids"), {"job": dataset.job_id, "well_formed": take == "well_formed"})


def identity(corpus: Corpus, dataset: DatasetVersion, take: str) -> str:
    """What tells the data from other data of that name in another corpus."""
    return _identity(dataset, take, _traces(corpus, dataset, take) if take == "kept" else ())


def _identity(dataset: DatasetVersion, take: str, rows: Sequence[tables.Row]) -> str:
    """Of a data set its traces, which never change; of a job, which may get more of them, its own id."""
    return content_id("dataset", *(row["id"] for row in rows)) if take == "kept" else dataset.job_id


def _shared(found: list[Part], seed: int) -> tuple[Part, ...]:
    """As many of each as its share allows."""
    if not all(part.section.share for part in found) or not found:
        return tuple(found)
    shares = [part.section.share or 0.0 for part in found]
    whole = min(len(part.ids) / share for part, share in zip(found, shares, strict=True))
    return tuple(part.drawn(max(1, round(whole * share)), seed) for part, share in zip(found, shares, strict=True))


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
    """Each chosen trace with the wrong one of its prompt."""
    kinds = part.dataset.selection.masks
    values = {"chosen": list(part.ids), "rejected": list(part.beside)}
    for row in corpus.stream(named_sql("paired"), values):
        asked = tables.prompt_of(row["prompt"])
        chosen, rejected = (_masked(tables.trace_of(row[name]), asked, kinds) for name in ("chosen", "rejected"))
        yield asked, chosen, rejected


def _masked(trace: Trace, prompt: Prompt, kinds: tuple[str, ...]) -> Trace:
    return masked(trace, prompt, kinds) if kinds else trace


@dataclass(slots=True)
class Questions:
    """What GRPO asks: the prompts of the traces, each once, with what rewards their answers."""

    repeated: int = 0
    """Left out, because the same text has been asked: with what the first says, whatever the reward of the others."""

    def of(self, corpus: Corpus, parts: Sequence[Part]) -> Iterator[Prompt]:
        """A majority's answer is the reference where it was the label; a reward model needs none."""
        asked: set[str] = set()
        for part in parts:
            known: set[str] = set()
            for item, label in _labelled(corpus, part):
                prompt = item.prompt
                if prompt.id in known:
                    continue
                known.add(prompt.id)
                if prompt.text in asked:
                    self.repeated += 1
                    continue
                asked.add(prompt.text)
                if part.section.reward == "preference":
                    yield replace(prompt, verifier=PREFERENCE, reference="")
                else:
                    yield prompt if label is None else replace(prompt, reference=label)
