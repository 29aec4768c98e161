"""`tracemill evaluate`: figures of a model on a recipe's prompts; `tracemill evaluations`: those that are stored."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracemill.cli.corpus import CorpusOption, settings_with
from tracemill.cli.run import result_here
from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import orders
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.comparison import Difference, Stored, compare, find_evaluation, stored_evaluations
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.evaluation import SEEN, Evaluation, Figure, assess, checked, evaluation_recipe
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.trained_on import Overlap, Trained

_WIDE = 200
T = TypeVar("T", Figure, Difference)


def evaluate(
    recipe: Annotated[str, typer.Argument(help="recipe whose prompts, generate and verify are used")],
    model: Annotated[str | None, typer.Option(help="in place of generate.model")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="of each prompt, in place of generate.samples")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="in place of generate.temperature")] = None,
    trained_on: Annotated[
        list[str] | None, typer.Option(help="data set that the model was trained on, NAME or NAME@VERSION; repeatable")
    ] = None,
    allow_contamination: Annotated[
        bool, typer.Option("--allow-contamination", help="go on where the model was trained on prompts, and count them")
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="evaluation to compare with: name, or beginning of a job id")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Evaluate a model: pass@k, majority@k, format, length, with 95 % intervals. Run again, it goes on.

    Refuses prompts that the model was trained on, as its folder or --trained-on says.
    """
    here = settings_with(corpus)
    asked = evaluation_recipe(recipes.from_anywhere(recipes.load(recipe)), model, samples, temperature)
    plan = make_plan(asked)
    check_model(plan, here)
    there = Corpus.open(here.corpus)
    other = None if against is None else find_evaluation(there, against, but=plan.job_id)
    found = checked(plan, there, tuple(map(Trained.named, trained_on or ())), allow_contamination)
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        made = evaluate_here(plan, here, JobStore(here.jobs_url), shlex.join(["tracemill", *sys.argv[1:]]), found)
    apart = None if other is None else compare(plan, there, other.job_id)
    if as_json:
        typer.echo(json.dumps(_object(made, other, apart)))
        return
    _print(made)
    if other is not None and apart is not None:
        _print_differences(apart, other)


def evaluate_here(
    plan: Plan, here: Settings, store: JobStore, again: str, found: Sequence[Overlap] | None = None
) -> Evaluation:
    """Run the plan of an `evaluation_recipe` in this process, with live progress, and store its figures.

    `found` is what `evaluation.checked` gave; `again` is the command that goes on where this is stopped.
    """
    orders.submit(plan.job_id, plan.recipe, "command", here, store)
    result = result_here(plan, here, store, again)
    for reason, count in {} if result.progress is None else result.progress.refused.items():
        typer.echo(f"{count:,} requests were refused by the engine: {reason}")
    return assess(plan, Corpus.open(here.corpus), found)


def evaluations(
    as_json: Annotated[bool, typer.Option("--json", help="a JSON object a line, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """List the stored evaluations, the newest first: pass@1 with its 95 % interval, model, prompts, samples."""
    known = stored_evaluations(Corpus.open(settings_with(corpus).corpus))
    if as_json:
        for one in known:
            typer.echo(json.dumps(asdict(one)))
        return
    if not known:
        typer.echo("no model has been evaluated yet: tracemill evaluate RECIPE")
        return
    table = _table("job", "name", "model", right=("pass@1", "95 % interval", "prompts", "samples"))
    for one in known:
        first = one.pass_1
        counts = ("", "", "", "") if first is None else (*_shown(first), f"{first.prompts:,}", f"{first.samples:,}")
        table.add_row(*map(Text, (one.job_id[:8], one.name, one.model, *counts)))
    _console().print(table)


def _object(made: Evaluation, other: Stored | None, apart: Sequence[Difference] | None) -> dict[str, object]:
    found: dict[str, object] = asdict(made)
    if other is not None and apart is not None:
        found |= {"against": other.job_id, "differences": [asdict(one) for one in apart]}
    return found


def _print(made: Evaluation) -> None:
    typer.echo(f"\nevaluation {made.name}, job {made.job_id[:8]}, {made.model}")
    table = _table("domain", "figure", right=("value", "95 % interval", "prompts", "samples"))
    for one in _worth(made.figures):
        counts = (f"{one.prompts:,}", f"{one.samples:,}")
        table.add_row(*map(Text, (one.domain or "all", one.figure, *_shown(one), *counts)))
    _console().print(table)


def _print_differences(apart: Sequence[Difference], other: Stored) -> None:
    typer.echo(f"\nless {other.name}, job {other.job_id[:8]}, {other.model}, paired by prompt")
    table = _table("domain", "figure", right=("difference", "95 % interval", "prompts"))
    for one in _worth(apart):
        table.add_row(*map(Text, (one.domain or "all", one.figure, *_shown(one, "+"), f"{one.prompts:,}")))
    _console().print(table)


def _worth(figures: Sequence[T]) -> list[T]:
    """Without the domain's own where there is one domain: they are those of all prompts."""
    is_one = len({one.domain for one in figures if one.domain}) < 2
    return [one for one in figures if not (is_one and one.domain)]


def _shown(one: Figure | Difference, sign: str = "") -> tuple[str, str]:
    """The value and its interval, as percentages or tokens."""
    form = f"{sign},.1f" if one.figure == "length" else f"{sign}.1%"
    if one.low is None or one.high is None:
        return f"{one.value:{form}}", "" if one.figure == SEEN else "unknown"
    return f"{one.value:{form}}", f"{one.low:{form}} to {one.high:{form}}"


def _table(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in left:
        table.add_column(column, no_wrap=True)
    for column in right:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _console() -> Console:
    """On a pipe no line is cut."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)
