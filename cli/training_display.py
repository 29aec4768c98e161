"""How a training is shown while it runs: a bar with the last figures on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tracemill.cli.progress import LINE_EVERY_S
from tracemill.core.errors import Stopped
from tracemill.pipelines.training import Watch
from tracemill.pipelines.training_rows import Counted

SHOWN = ("loss", "reward", "rewards/accuracy", "rewards/format", "rewards/undecided", "completions/mean_length", "kl")
"""Figures that are shown, of those that the trainer logs."""


def figures_line(figures: dict[str, float]) -> str:
    """`loss 1.23, reward 0.5`."""
    return ", ".join(f"{name.rpartition('/')[2]} {figures[name]:.3g}" for name in SHOWN if name in figures)


@contextmanager
def training_display(again: str, quiet: bool = False) -> Iterator[Watch]:
    """Shows on stderr what the Watch that it gives is told, and stops on Ctrl-C and SIGTERM: raises Stopped.

    `again` is the command that goes on.
    """
    try:
        with _signals() as order, _shown(quiet) as watch:

            def on_stage(stage: str) -> None:
                order.stage = stage
                watch.on_stage(stage)

            yield replace(watch, on_stage=on_stage, is_stopped=lambda: order.is_given)
    except Stopped as error:
        raise Stopped(f"{error}; to go on: {again}") from error
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped; checkpoints are kept; to go on: {again}") from error


@dataclass
class _Order:
    """To stop: the first ends a training after its step, with a checkpoint; the second, or one before it, at once."""

    stage: str = ""
    is_given: bool = False

    def take(self, number: int, frame: object) -> None:
        if self.is_given or self.stage != "training":
            raise KeyboardInterrupt
        self.is_given = True


@contextmanager
def _signals() -> Iterator[_Order]:
    order = _Order()
    before = {number: signal.signal(number, order.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield order
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown(quiet: bool) -> Iterator[Watch]:
    if quiet:
        yield Watch()
    elif sys.stderr.isatty():
        yield from _bar()
    else:
        yield _lines()


def told_of_rows(rows: Counted) -> str:
    """How much there is to train on, and what is left out."""
    left = rows.left_out()
    return f"{rows.made:,} rows, {rows.tokens:,} tokens" + (f"; left out: {', '.join(left)}" if left else "")


def _told_of_step(step: int) -> str:
    return f"going on from the checkpoint of step {step:,}"


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
            on_resumed=lambda step: bar.console.print(_told_of_step(step)),
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
        on_resumed=lambda step: typer.echo(f"  {_told_of_step(step)}", err=True),
        on_figures=tell,
    )
