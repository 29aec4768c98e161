"""Evaluation of a model: a job that is made and judged but not sifted, and its figures with 95 % intervals.

Figures are means over prompts, of each domain and of all prompts (domain ""): `pass@k` for k = 1, 2, 4, … and all
samples, `majority@k`, `format`, `length`, `cut_off`, `undecided`, `missing`, and `contaminated` where it is known what
the model was trained on. Their definitions stand in `pipelines.scores` and docs/how-to/evaluate.md. Prints nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracemill.core.errors import InputError, NotFound
from tracemill.core.settings import Settings
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.pipelines import intervals
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.runner import Watch, run_job
from tracemill.pipelines.scores import Score, scores
from tracemill.pipelines.trained_on import Overlap, Trained, contaminated, data_of, overlaps, refuse

SEEN = "contaminated"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a domain, or of all prompts."""

    domain: str
    """"" for all prompts."""
    figure: str
    """`pass@1`, `majority@8`, `format`, …"""
    k: int
    """Samples that it looks at together; those asked for of each prompt, where it looks at them one by one."""
    value: float
    """A share, 0 to 1; of `length` tokens."""
    low: float | None
    high: float | None
    """The 95 % interval. None where one prompt alone says nothing of others, and of `contaminated`, which is known."""
    prompts: int
    """Prompts that it is the mean of."""
    samples: int
    """Their samples that entered it."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A job's figures."""

    job_id: str
    name: str
    model: str
    """As the traces are filed; several are joined by commas."""
    figures: tuple[Figure, ...]

    def figure(self, name: str, domain: str = "") -> Figure:
        """Raises NotFound where there is none: no sample could be judged, or the verifier cannot compare answers."""
        for one in self.figures:
            if (one.figure, one.domain) == (name, domain):
                return one
        raise NotFound(f"evaluation {self.name}: no figure {name!r}; there are {', '.join(self.names())}")

    def names(self) -> list[str]:
        """Of the figures, in their order."""
        return list(dict.fromkeys(one.figure for one in self.figures))

    def line(self) -> str:
        """pass@1 with its interval, in one line."""
        found = next((one for one in self.figures if (one.figure, one.domain) == ("pass@1", "")), None)
        if found is None:
            return f"{self.name}: no sample could be judged"
        return f"{self.name}: pass@1 {found.value:.1%} ({found.low:.1%} to {found.high:.1%}), {found.prompts:,} prompts"


def evaluation_recipe(
    recipe: Recipe, model: str | None = None, samples: int | None = None, temperature: float | None = None
) -> Recipe:
    """The recipe as an evaluation: without filters and selection, and with what is given in place of its own.

    Raises InputError for what would give some prompts more samples because of their outcomes, or no gold answers.
    """
    generate = recipe.generate
    if generate.adaptive is not None or generate.retry:
        field = "retry" if generate.retry else "strategy"
        raise InputError(f"generate.{field}: an evaluation draws as many samples of each prompt; leave it out")
    if generate.mix:
        raise InputError("generate.mix: an evaluation is of one model; leave it out")
    if recipe.verify.majority is not None:
        raise InputError("verify.majority: an evaluation needs gold answers, not the samples' own; leave it out")
    if model is not None and generate.engine == "replay":
        raise InputError("--model: engine replay gives back what is recorded, whatever the model")
    given = {"model": model, "samples": samples, "temperature": temperature}
    changed = {name: value for name, value in given.items() if value is not None}
    plain = recipe.model_dump(mode="json", exclude={"filters", "select"}) | {"filters": [], "purpose": "evaluation"}
    return recipes.parse(plain | {"generate": plain["generate"] | changed}, recipe.name)


async def evaluate(
    plan: Plan, settings: Settings, watch: Watch, trained_on: Sequence[Trained] = (), allow_contamination: bool = False
) -> Evaluation:
    """Run the plan of an `evaluation_recipe` and store its figures; again, it is a no-op.

    `trained_on` adds to what the model's folder says. Raises InputError for contamination, unless it is allowed.
    """
    corpus = await asyncio.to_thread(Corpus.open, settings.corpus)
    found = await asyncio.to_thread(checked, plan, corpus, trained_on, allow_contamination)
    await run_job(plan, settings, watch)
    return await asyncio.to_thread(assess, plan, corpus, found)


def checked(
    plan: Plan, corpus: Corpus, trained_on: Sequence[Trained] = (), allow_contamination: bool = False
) -> tuple[Overlap, ...] | None:
    """What the model has seen of the plan's prompts; None where nobody says what it was trained on."""
    data = tuple(dict.fromkeys((*data_of(plan.recipe.generate), *trained_on)))
    try:
        found = overlaps(corpus, plan.tasks.prompts(), data)
    except NotFound as error:
        if allow_contamination:
            return None
        raise NotFound(
            f"evaluation: what the model was trained on cannot be looked at ({error}); name the corpus that has it, or "
            "use --allow-contamination"
        ) from error
    if not allow_contamination:
        refuse(found, len(plan.tasks))
    return found if data else None


def assess(plan: Plan, corpus: Corpus, found: Sequence[Overlap] | None = None) -> Evaluation:
    """The figures of the plan's job as it is stored; those that are new or have changed are stored."""
    asked = plan.recipe.generate.samples
    known = plan_scores(plan, corpus, plan.job_id)
    models = sorted(set[str]().union(*(one.models for one in known))) or [plan.recipe.generate.model_name]
    seen = None if found is None else contaminated(found)
    figures = tuple(
        figure
        for domain, mine in by_domain(known)
        for figure in (*_figures(domain, mine, asked), *([] if seen is None else [_seen(domain, mine, seen, asked)]))
    )
    made = Evaluation(plan.job_id, plan.recipe.name, ", ".join(models), figures)
    _store(corpus, made)
    return made


def plan_scores(plan: Plan, corpus: Corpus, job_id: str) -> list[Score]:
    """What the samples of each prompt of the plan came to in a job; of some there may be none."""
    own = {name: verifiers[0] for name, verifiers in plan.judges.items()}
    stored = {one.prompt_id: one for one in scores(corpus, job_id, own)}
    return [stored.get(prompt.id, Score(prompt.id, prompt.domain)) for prompt in plan.tasks.prompts()]


def by_domain(known: Sequence[Score]) -> Iterable[tuple[str, Sequence[Score]]]:
    yield "", known
    for domain in sorted({one.domain for one in known}):
        yield domain, [one for one in known if one.domain == domain]


def _figures(domain: str, known: Iterable[Score], asked: int) -> Iterable[Figure]:
    values = [one.values(asked) for one in known]
    for name in ordered(name for one in values for name in one):
        mine = [one[name] for one in values if name in one]
        samples = sum(count for _, count in mine)
        shown = [value for value, _ in mine]
        found = intervals.mean(shown) if name == "length" else intervals.share(shown)
        yield Figure(domain, name, k_of(name, asked), found.value, found.low, found.high, len(mine), samples)


def _seen(domain: str, known: Sequence[Score], seen: frozenset[str], asked: int) -> Figure:
    share = sum(one.prompt_id in seen for one in known) / len(known)
    return Figure(domain, SEEN, asked, share, None, None, len(known), sum(one.made for one in known))


def ordered(names: Iterable[str]) -> list[str]:
    """Each once: pass@k by k, majority, then the others as `Score.values` has them."""
    kinds = ("pass", "majority", "format", "length", "cut_off", "undecided", "missing", SEEN)
    return sorted(set(names), key=lambda name: (kinds.index(name.partition("@")[0]), k_of(name, 0)))


def k_of(name: str, asked: int) -> int:
    """The k in a figure's name; `asked` where it has none."""
    return int(k) if (k := name.partition("@")[2]) else asked


def _store(corpus: Corpus, made: Evaluation) -> None:
    """Append the figures that differ from the latest stored ones.

    One that can be computed no more gets the value NULL; what the model has seen stands, if nobody says it this time.
    """
    app_id = f"evaluation/{made.job_id}"
    while True:
        last = corpus.last("evaluations", app_id)
        sql = "SELECT * EXCLUDE (created_at) FROM latest_evaluations WHERE job_id = $job"
        stored = {_key(row): row for row in corpus.rows(sql, {"job": made.job_id})}
        shared = {"job_id": made.job_id, "name": made.name, "model": made.model}
        now = {_key(row): row for row in (shared | _plain(one) for one in made.figures)}
        gone = (
            row | {"value": None, "low": None, "high": None}
            for key, row in stored.items()
            if key not in now and key[1] != SEEN
        )
        fresh = [row for row in (*now.values(), *gone) if stored.get(_key(row)) != row]
        if not fresh:
            return
        at = tables.now()
        rows = tables.arrow("evaluations", [row | {"created_at": at} for row in fresh])
        if corpus.append("evaluations", rows, app_id, last + 1, after=last):
            return


def _key(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["domain"], row["figure"], row["k"]


def _plain(figure: Figure) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in Figure.__slots__}
