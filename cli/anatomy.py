"""`tracemill anatomy`: what the chains of a job are like, and whether a model counts the same in them as markers do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from tracemill.cli.audit import option_of
from tracemill.cli.corpus import CorpusOption, job_here, settings_with
from tracemill.core.errors import InputError
from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.filters.behaviours import VERSION
from tracemill.pipelines.anatomy import measure
from tracemill.pipelines.engines import open_engine
from tracemill.pipelines.generate_section import EngineSection
from tracemill.pipelines.labeller import Labels, counts_words, label

FIGURES = (
    "verification", "backtracking", "subgoals", "backward_chaining", "definition_share", "bloom_share", "cycles",
    "ruminations", "rumination", "final_share", "words", "paragraphs", "flesch",
)  # fmt: skip
"""As they are shown; a share is a place in the chain, 0 to 1."""
ABREAST = 7
"""Figures in one table."""
WIDE = 200
"""Widest table (characters) where there is no terminal."""


def anatomy(
    name: Annotated[str, typer.Argument(help="id or name of a job")],
    labeller: Annotated[str, typer.Option(help="a model that counts habits too: packaged, folder, owner/name")] = "",
    engine: Annotated[Literal["vllm", "openai", "fake"], typer.Option(help="the engine of --labeller")] = "vllm",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, an option of that engine; repeatable")] = None,
    samples: Annotated[int, typer.Option(min=1, help="chains that the labeller looks at")] = 100,
    seed: Annotated[int, typer.Option(help="chooses them")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Show how the chains of a job verify, turn back, plan and work backward, and where their parts lie.

    Medians, and the 90th percentile behind, by model, kept chains beside rejected ones. With --labeller a model counts
    the four habits in some of them, and how well the markers agree is shown. The table `anatomy` has the figures.
    """
    if not labeller and (engine != "vllm" or option):
        raise InputError("--engine, --option: go with --labeller, which names a model")
    here = settings_with(corpus)
    opened = Corpus.open(here.corpus)
    job_id = _job_id(name, opened, here)
    measured = measure(opened, job_id, address=here.ray_address)
    if measured:
        typer.echo(f"measured {measured:,} chains", err=True)
    if labeller:
        section = _section(labeller, engine, dict(map(option_of, option or [])))
        labels = asyncio.run(_labels(opened, here, job_id, section, samples, seed))
        _show_labels(job_id, section.model_name, labels, as_json)
    else:
        _show_figures(job_id, opened.rows(named_sql("figures"), {"job": job_id, "version": VERSION}), as_json)


def _job_id(name: str, corpus: Corpus, here: Settings) -> str:
    """A job of the corpus by its id, or the newest of that name. Raises NotFound."""
    is_id = corpus.rows("SELECT 1 FROM traces WHERE job_id = $job LIMIT 1", {"job": name})
    return name if is_id else job_here(name, corpus, here).id


def _section(model: str, engine: str, options: Mapping[str, Any]) -> EngineSection:
    try:
        return EngineSection.model_validate({"model": model, "engine": engine, "engine_options": options})
    except ValidationError as error:
        raise InputError(f"--labeller: {error.errors()[0]['msg']}") from error


async def _labels(
    corpus: Corpus, here: Settings, job_id: str, section: EngineSection, samples: int, seed: int
) -> Labels:
    def look(done: int, total: int) -> None:
        typer.echo(f"{section.model_name} looked at {done:,} of {total:,} chains", err=True)

    async with open_engine(section, here, "--labeller", counts_words) as pool:
        return await label(corpus, job_id, pool, section.model_name, samples, seed, look=look)


def _show_labels(job_id: str, model: str, labels: Labels, as_json: bool) -> None:
    if as_json:
        found = {habit: asdict(one) for habit, one in labels.agreement.items()}
        told = {"sampled": labels.sampled, "labelled": labels.labelled, "agreement": found}
        typer.echo(json.dumps({"job_id": job_id, "labeller": model} | told))
        return
    typer.echo(
        f"{model} counted {labels.labelled:,} of the {labels.sampled:,} chains drawn; the markers against all that it "
        "ever counted in this job:\n"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("habit", no_wrap=True)
    for name in ("both", "markers", "model", "neither", "precision", "recall", "kappa", "spearman"):
        table.add_column(name, justify="right")
    for habit, one in labels.agreement.items():
        counts = [f"{count:,}" for count in (one.both, one.only_first, one.only_second, one.neither)]
        shares = [_short(value) for value in (one.precision, one.recall, one.kappa, one.spearman)]
        table.add_row(habit, *counts, *shares)
    _print(table)
    typer.echo("\nprecision and recall take the model for right; kappa (presence) and spearman (counts) do not")


def _show_figures(job_id: str, rows: Sequence[Row], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"job_id": job_id, "version": VERSION, "figures": rows}, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no well-formed chains")
        return
    groups = {(row["model"], row["is_kept"]): row["chains"] for row in rows if row["figure"] == "words"}
    found = {(row["figure"], row["model"], row["is_kept"]): row for row in rows}
    for figures in (FIGURES[:ABREAST], FIGURES[ABREAST:]):
        table = Table(box=None, pad_edge=False)
        for name, justify in (("model", "left"), ("", "left"), ("chains", "right")):
            table.add_column(name, no_wrap=True, justify=justify)  # type: ignore[arg-type]
        for figure in figures:
            table.add_column(figure.replace("_", " "), justify="right")
        for (model, is_kept), chains in groups.items():
            cells = [found.get((figure, model, is_kept)) for figure in figures]
            shown = (f"{_short(one['p50'])} ({_short(one['p90'])})" if one else "–" for one in cells)
            table.add_row(model, "kept" if is_kept else "rejected", f"{chains:,}", *shown)
        _print(table)
        typer.echo()
    typer.echo("medians, and 90th percentiles; a share is a place in the chain")


def _print(table: Table) -> None:
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2f}"
