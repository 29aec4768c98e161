"""What the models of a pipeline can do, what they cost, and how both are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines.evaluation import Figure
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.stages import Made, StagesRecipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ELSEWHERE = "elsewhere-"
"""Begins the name of a stage that evaluates a model on kinds of questions that none was trained on."""
Scores = Mapping[str, Mapping[str, Figure]]
"""pass@1 on held-out questions: by the kind of question (`all` first), then by the name of the stage that evaluates."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the stages of a pipeline took, by the clock, in all their runs."""

    tokens_made: int
    making: float
    """Seconds."""
    tokens_trained: int
    training: float
    """Seconds."""


def scores_of(made: Sequence[Made]) -> Scores:
    """The figures of the stages that evaluate."""
    rows: dict[str, dict[str, Figure]] = {"all": {}}
    for one in made:
        if one.evaluation is None:
            continue
        model = one.stage.removeprefix(ELSEWHERE)
        figures = {figure.domain: figure for figure in one.evaluation.figures if figure.figure == "pass@1"}
        if model != one.stage:
            rows.setdefault("elsewhere", {})[model] = figures[""]
            continue
        rows["all"][model] = figures.pop("")
        for domain, figure in figures.items() if len(figures) > 1 else ():
            rows.setdefault(domain, {})[model] = figure
    return rows


def spent_on(pipeline: StagesRecipe, settings: Settings) -> Spent:
    """From the jobs and the runs of the pipeline's stages; of each the newest."""
    names = {f"{pipeline.name}-{stage.name}" for stage in pipeline.stages}
    newest = {job.name: job for job in reversed(JobStore(settings.jobs_url).list()) if job.name in names}
    jobs = [job.totals for job in newest.values()]
    sql = "SELECT name, tokens, seconds FROM runs ORDER BY created_at"
    runs = {row["name"]: row for row in Corpus.open(settings.corpus).rows(sql, {}) if row["name"] in names}
    return Spent(
        sum(one.completion_tokens for one in jobs),
        sum(one.seconds for one in jobs),
        sum(row["tokens"] for row in runs.values()),
        sum(row["seconds"] for row in runs.values()),
    )


def mean(found: Mapping[int, Scores], row: str, model: str) -> float:
    """Over the seeds."""
    return sum(rows[row][model].value for rows in found.values()) / len(found)


def table(found: Mapping[int, Scores]) -> Table:
    """A row for each seed and kind of question, a column for each model."""
    shown = _table("held-out accuracy, 95 % interval")
    one = next(iter(found.values()))
    models = list(one["all"])
    for name in ("seed", "questions", *models):
        shown.add_column(name, justify="left" if name == "questions" else "right", no_wrap=True)
    for seed, rows in found.items():
        for kind, figures in rows.items():
            cells = (_cell(figures[model]) if model in figures else "" for model in models)
            shown.add_row(str(seed) if kind == "all" else "", kind, *cells)
    if len(found) > 1:
        for kind, figures in one.items():
            cells = (f"{mean(found, kind, model):.1%}" if model in figures else "" for model in models)
            shown.add_row("mean" if kind == "all" else "", kind, *cells)
    return shown


def _cell(figure: Figure) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%}–{figure.high:.1%})"


def costs(spent: Mapping[int, Spent]) -> Table:
    """A row for each seed."""
    shown = _table("what it took")
    for name in ("seed", "tokens made", "minutes", "tokens trained on", "minutes"):
        shown.add_column(name, justify="right", no_wrap=True)
    for seed, one in spent.items():
        made, trained = f"{one.tokens_made:,}", f"{one.tokens_trained:,}"
        shown.add_row(str(seed), made, f"{one.making / 60:.1f}", trained, f"{one.training / 60:.1f}")
    return shown


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False)


def picture(found: Mapping[int, Scores], path: Path) -> None:
    """Bars of the means, a dot with its interval for each seed; kinds that nothing was trained on beside the others."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = next(iter(found.values()))
    kinds = [kind for kind in ("all", "elsewhere") if kind in rows]
    models, width = list(rows["all"]), 0.8 / len(kinds)
    figure, axes = plt.subplots(figsize=(1.6 * len(models) + 1, 3.6), layout="constrained")
    for kind, colour, label in zip(
        kinds, ("#9ecae1", "#d9d9d9"), ("kinds that were trained on", "another kind"), strict=False
    ):
        shift = (kinds.index(kind) - (len(kinds) - 1) / 2) * width
        places = {model: models.index(model) + shift for model in rows[kind]}
        heights = [100 * mean(found, kind, model) for model in places]
        axes.bar(list(places.values()), heights, color=colour, width=0.92 * width, label=label)
        for model, place in places.items():
            _dots(axes, place, width / (len(found) + 1), (rows[kind][model] for rows in found.values()))
    axes.set_xticks(range(len(models)), models)
    axes.set_ylim(0, min(105, 1.2 * axes.get_ylim()[1]))  # with room for the legend
    axes.set_ylabel("held-out accuracy, %")
    axes.spines[["top", "right"]].set_visible(False)
    if len(kinds) > 1:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _dots(axes: Axes, place: float, apart: float, figures: Iterable[Figure]) -> None:
    """One for each seed, around `place`."""
    shown = list(figures)
    for at, one in enumerate(shown):
        low, high = one.value - (one.low or 0.0), (one.high or 1.0) - one.value
        around = place + (at - (len(shown) - 1) / 2) * apart
        bars = [[100 * max(0.0, low)], [100 * max(0.0, high)]]
        axes.errorbar(around, 100 * one.value, bars, fmt="o", ms=4, color="#08519c")
