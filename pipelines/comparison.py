"""The evaluations that a corpus has, and the difference of two on the same prompts. Stores and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracemill.core.errors import InputError, NotFound
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql
from tracemill.pipelines import intervals
from tracemill.pipelines.evaluation import Figure, by_domain, k_of, ordered, plan_scores
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.scores import Score


@dataclass(frozen=True, slots=True)
class Stored:
    """An evaluation as the corpus has it, in short."""

    job_id: str
    name: str
    model: str
    pass_1: Figure | None
    """None where no sample could be judged."""


def stored_evaluations(corpus: Corpus) -> list[Stored]:
    """All, the newest first."""
    found = []
    for row in corpus.rows(named_sql("evaluations"), {}):
        told = row["pass_1"]
        first = None if told is None else Figure("", "pass@1", 1, **told)
        found.append(Stored(row["job_id"], row["name"], row["model"], first))
    return found


def find_evaluation(corpus: Corpus, name: str, but: str = "") -> Stored:
    """The newest evaluation of that name other than the job `but`, or the one whose job id begins so.

    Raises NotFound, or InputError where several begin so.
    """
    known = [one for one in stored_evaluations(corpus) if one.job_id != but]
    named = [one for one in known if one.name == name][:1] or [one for one in known if one.job_id.startswith(name)]
    if len(named) > 1:
        raise InputError(f"--against: {name!r} begins several jobs: {', '.join(one.job_id[:12] for one in named)}")
    if not named:
        there = ", ".join(dict.fromkeys(one.name for one in known)) or "none"
        raise NotFound(f"--against: no other evaluation is called {name!r}, or has a job id that begins so ({there})")
    return named[0]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one evaluation less that of another, paired by prompt."""

    domain: str
    figure: str
    k: int
    value: float
    low: float | None
    high: float | None
    prompts: int
    """Prompts that both have a value of."""


def compare(plan: Plan, corpus: Corpus, other: str) -> list[Difference]:
    """The plan's evaluation less that of the job `other`. Raises InputError where it asked other prompts."""
    asked = plan.recipe.generate.samples
    mine = plan_scores(plan, corpus, plan.job_id)
    theirs = {one.prompt_id: one for one in plan_scores(plan, corpus, other)}
    strangers = corpus.rows(
        "SELECT count(DISTINCT prompt_id) AS n FROM traces WHERE job_id = $job AND NOT list_contains($ids, prompt_id)",
        {"job": other, "ids": list(theirs)},
    )[0]["n"]
    shared = sum(one.made > 0 for one in theirs.values())
    if strangers or not shared:
        raise InputError(
            f"--against: job {other[:12]} was asked {strangers:,} prompts that this evaluation was not, and "
            f"{shared:,} that both were; evaluate both with the same prompts"
        )
    most = max(one.made for one in theirs.values())
    return [
        found
        for domain, own in by_domain(mine)
        for found in _differences(domain, [(one, theirs[one.prompt_id]) for one in own], asked, most)
    ]


def _differences(domain: str, pairs: Sequence[tuple[Score, Score]], asked: int, most: int) -> Iterable[Difference]:
    values = [(one.values(asked), other.values(most)) for one, other in pairs]
    for name in ordered(name for one, other in values for name in one.keys() & other.keys()):
        apart = [one[name][0] - other[name][0] for one, other in values if name in one and name in other]
        found = intervals.difference(apart, is_share=name != "length")
        yield Difference(domain, name, k_of(name, asked), found.value, found.low, found.high, len(apart))
