"""How a training is shown while it runs: a bar with the last figures on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tracemill.cli.progress import LINE_EVERY_S
from tracemill.pipelines.training import Counted, Watch

SHOWN = ("loss", "reward", "rewards/accuracy", "rewards/format", "rewards/undecided", "completions/mean_length", "kl")
"""Figures that are shown, of those that the trainer logs."""


def figures_line(figures: dict[str, float]) -> str:
    """`loss 1.23, reward 0.5`."""
    return ", ".join(f"{name.rpartition('/')[2]} {figures[name]:.3g}" for name in SHOWN if name in figures)


@contextmanager
def training_display(quiet: bool = False) -> Iterator[Watch]:
    """Shows on stderr what the Watch that it gives is told."""
    if quiet:
        yield Watch()
    elif sys.stderr.isatty():
        yield from _bar()
    else:
        yield _lines()


def told_of_rows(rows: Counted) -> str:
    """How much there is to train on."""
    left = f"; {rows.too_long:,} longer than max_length were left out" if rows.too_long else ""
    return f"{rows.made:,} rows, {rows.tokens:,} tokens{left}"


def _bar() -> Iterator[Watch]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[figures]}"), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("reading", total=None, figures="")

        def tell(step: int, last: int, figures: dict[str, float]) -> None:
            bar.update(task, completed=step, total=last)
            if line := figures_line(figures):
                bar.update(task, figures=line)

        yield Watch(
            on_stage=lambda stage: bar.update(task, description=stage),
            on_rows=lambda rows: bar.console.print(told_of_rows(rows)),
            on_figures=tell,
        )


def _lines() -> Watch:
    last_line = [0.0]

    def tell(step: int, last: int, figures: dict[str, float]) -> None:
        now = time.monotonic()
        if (line := figures_line(figures)) and now - last_line[0] >= LINE_EVERY_S:
            last_line[0] = now
            typer.echo(f"  step {step:,} of {last:,}: {line}", err=True)

    return Watch(
        on_stage=lambda stage: typer.echo(f"  {stage}", err=True),
        on_rows=lambda rows: typer.echo(f"  {told_of_rows(rows)}", err=True),
        on_figures=tell,
    )
