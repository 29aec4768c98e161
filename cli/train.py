"""`tracemill train`: a model from data sets of the corpus, by SFT, GRPO or DPO. Ctrl-C leaves a checkpoint."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Annotated

import typer

from tracemill.cli.corpus import CorpusOption, settings_with
from tracemill.cli.training_display import training_display
from tracemill.corpus.store import Corpus
from tracemill.pipelines.recipe import loaded
from tracemill.pipelines.train_section import TrainRecipe
from tracemill.pipelines.training import Trained, plan_training, run


def train(
    recipe: Annotated[str, typer.Argument(help="file with `name` and `train`")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Train a model. Run again, it goes on from its last checkpoint; what is finished is not done again."""
    here = settings_with(corpus)
    read = loaded(recipe, TrainRecipe)
    store = Corpus.open(here.corpus)
    plan = plan_training(read.name, read.train, here, store)
    told = f"training {plan.run_id}: {plan.training.method} of {read.train.model} makes {plan.folder.name}"
    typer.echo(told, err=as_json)
    with redirect_stdout(sys.stderr), training_display(f"tracemill train {recipe}", quiet=as_json) as watch:
        done = run(plan, here, store, watch)
    typer.echo(json.dumps(_plain(done)) if as_json else _line(done))


def _plain(done: Trained) -> dict[str, object]:
    told: dict[str, object] = {"run": done.run_id, "model": str(done.folder), "new": done.is_new}
    if done.rows is not None:
        told |= {"rows": asdict(done.rows), "steps": done.steps, "tokens": done.tokens, "seconds": done.seconds}
    return told


def _line(done: Trained) -> str:
    if not done.is_new:
        return f"model {done.folder} (unchanged)"
    return f"model {done.folder}: trained on {done.tokens:,} tokens in {done.steps:,} steps, {done.seconds:,.0f} s"
