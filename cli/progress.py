"""Live progress of a job: a bar on a terminal, plain lines elsewhere. Shows durable samples only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from tracemill.pipelines.generation import Progress
from tracemill.pipelines.references import ReferenceCheck, check_lines
from tracemill.pipelines.runner import Watch

STAGES = {
    "checking": "checking the references",
    "loading": "loading the model",
    "generating": "generating",
    "labelling": "labelling by majority",
    "judging": "judging stored traces again",
    "sifting": "sifting",
    "selecting": "selecting",
}
LINE_EVERY_S = 5.0


@contextmanager
def progress_display(total: int) -> Iterator[Watch]:
    """What to hand to the runner so that a person sees how far it is."""
    if not sys.stdout.isatty():
        yield _plain_lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console()) as bar:
        task = bar.add_task("preparing", total=total, figures="")
        yield Watch(
            on_stage=lambda stage: bar.update(task, description=STAGES[stage]),
            on_progress=lambda progress: bar.update(task, completed=progress.durable, figures=figures(progress)),
            on_checking=lambda done, total: bar.update(task, figures=f"{done:,}/{total:,} references"),
            on_references=lambda found: _print_check(found, bar.console),
        )


def _plain_lines() -> Watch:
    last = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_S or progress.durable == progress.total:
            last = now
            typer.echo(f"  {progress.durable:,}/{progress.total:,} samples  {figures(progress)}")

    def on_checking(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_S and done < total:
            last = now
            typer.echo(f"  {done:,}/{total:,} references")

    def on_stage(stage: str) -> None:
        typer.echo(f"{STAGES[stage]} …")

    return Watch(on_stage, on_progress, on_checking, lambda found: _print_check(found, Console(soft_wrap=True)))


def _print_check(found: ReferenceCheck, console: Console) -> None:
    for line in check_lines(found):
        console.print(line, markup=False, highlight=False)


def figures(progress: Progress) -> str:
    """Tokens/s, correct so far, time to the end. Speed and correct ones are of this run alone, which it says."""
    share = progress.correct / progress.new if progress.new else 0.0
    of = f" of {progress.new:,} new" if progress.new < progress.durable else ""
    eta = "" if progress.eta_s is None else f"  ETA {progress.eta_s // 60:.0f}:{progress.eta_s % 60:02.0f}"
    return f"{progress.tokens_per_s:,.0f} tokens/s  {progress.correct:,} correct{of} ({share:.1%}){eta}"
