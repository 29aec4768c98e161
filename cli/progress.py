"""Live progress of a job: on a terminal a bar with a line a replica, elsewhere plain lines. Durable samples count."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from tracemill.factory.figures import ReplicaFigures, ReplicaState
from tracemill.pipelines.progress import Progress
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
        with _plain_lines() as watch:
            yield watch
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with _Display(*columns, console=Console()) as bar:
        task = bar.add_task("preparing", total=total, figures="")

        def on_progress(progress: Progress) -> None:
            bar.lines = tuple(replica_line(one) for pool in progress.engines for one in pool.replicas)
            bar.update(task, completed=progress.durable, total=progress.total, figures=figures(progress))

        yield Watch(
            on_stage=lambda stage: bar.update(task, description=STAGES[stage]),
            on_progress=on_progress,
            on_checking=lambda done, total: bar.update(task, figures=f"{done:,}/{total:,} references"),
            on_sifting=lambda sifter, seen: bar.update(task, figures=sifting_line(sifter, seen)),
            on_references=lambda found: _print_check(found, bar.console),
        )


class _Display(Bar):
    """The bar, and what the replicas do under it."""

    lines: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(f"  {line}", style="dim", no_wrap=True) for line in self.lines)


@contextmanager
def _plain_lines() -> Iterator[Watch]:
    """A line now and then, at the next stage, and at the end."""
    last = 0.0
    unsaid: Progress | None = None
    away: dict[str, str] = {}

    def say(progress: Progress) -> None:
        nonlocal last, unsaid
        last, unsaid = time.monotonic(), None
        typer.echo(f"  {progress.durable:,}/{progress.total:,} samples  {figures(progress)}")

    def on_progress(progress: Progress) -> None:
        nonlocal unsaid
        unsaid = progress
        for one in (replica for pool in progress.engines for replica in pool.replicas):
            told = away.pop(one.name, "")
            if one.state in (ReplicaState.RESTARTING, ReplicaState.GONE):
                away[one.name] = line = replica_line(one)
                if not told:
                    typer.echo(f"  {line}")
        if time.monotonic() - last >= LINE_EVERY_S:
            say(progress)

    def now_and_then(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            typer.echo(f"  {line}")

    def on_checking(done: int, total: int) -> None:
        if done < total:
            now_and_then(f"{done:,}/{total:,} references")

    def say_the_last() -> None:
        if unsaid is not None:
            say(unsaid)

    def on_stage(stage: str) -> None:
        say_the_last()
        typer.echo(f"{STAGES[stage]} …")

    try:
        yield Watch(
            on_stage,
            on_progress,
            on_checking,
            on_sifting=lambda sifter, seen: now_and_then(sifting_line(sifter, seen)),
            on_references=lambda found: _print_check(found, Console(soft_wrap=True)),
        )
    finally:
        say_the_last()


def sifting_line(sifter: str, seen: int) -> str:
    """How far a sifting is."""
    return f"{sifter}: {seen:,} traces"


def _print_check(found: ReferenceCheck, console: Console) -> None:
    for line in check_lines(found):
        console.print(line, markup=False, highlight=False)


def figures(progress: Progress) -> str:
    """Speed, what is correct and what that costs, load, queues, time to the end. Of this run alone, which it says."""
    share = progress.correct / progress.new if progress.new else 0.0
    of = f" of {progress.new:,} new" if progress.new < progress.durable else ""
    parts = [f"{progress.tokens_per_s:,.0f} tokens/s", f"{progress.correct:,} correct{of} ({share:.1%})"]
    if progress.tokens_per_correct is not None:
        gpu = progress.gpu_seconds_per_correct
        parts.append(
            f"{progress.tokens_per_correct:,.0f} tokens" + (f", {gpu:,.2g} GPU-s" if gpu else "") + " a correct one"
        )
    ready = [one for pool in progress.engines for one in pool.replicas if one.state is ReplicaState.READY]
    if ready:
        busy, queues = sum(one.busy_share for one in ready) / len(ready), progress.queues
        parts.append(f"engines {busy:.0%} busy")
        parts.append(f"waiting: {queues.asked:,} engine, {queues.judging:,} verdict, {queues.recording:,} disk")
    if progress.eta is not None:
        eta = progress.eta
        parts.append(f"ETA {interval(eta.expected, eta.low, None if math.isinf(eta.high) else eta.high)}")
    return "  ".join(parts)


def replica_line(replica: ReplicaFigures) -> str:
    """One replica: speed in and out, load, queue; or why it does not run."""
    start = f"{replica.name} ({replica.node})" if replica.node else replica.name
    restarts = f"  {replica.restarts} restarts" if replica.restarts else ""
    if replica.state is not ReplicaState.READY:
        why = f": {replica.reason}" if replica.reason else ""
        return f"{start}  {replica.state}{why}{restarts}"
    return (
        f"{start}  {replica.prompt_tokens_per_s:,.0f} + {replica.completion_tokens_per_s:,.0f} tokens/s  "
        f"{replica.busy_share:.0%} busy  {replica.running} running, {replica.waiting} waiting{restarts}"
    )


def interval(expected: float, low: float | None, high: float | None) -> str:
    """A time to come with its bounds; a high one of None is unknown."""
    if low is None or (low, high) == (expected, expected):
        return duration(expected)
    return f"{duration(expected)} ({duration(low)} to {'?' if high is None else duration(high)})"


def duration(seconds: float) -> str:
    """Two units at most: 45s, 3m20s, 2h05m, 3d4h."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"
