"""`tracemill jobs`, and the orders to a job: the verbs of the service. A job is named by name or id, or a prefix."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracemill.cli.progress import duration, interval
from tracemill.cli.run import run_here
from tracemill.core.errors import InputError, NotFound, nearest
from tracemill.core.settings import Settings, location, settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import orders
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order
from tracemill.pipelines.report import cost_line, funnel_lines
from tracemill.pipelines.service import job_funnel, stored_plan

app = typer.Typer(rich_markup_mode=None)
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="name or id of the job, or the beginning of one")]
BAR = 12


@app.callback(invoke_without_command=True)
def jobs(context: typer.Context) -> None:
    """List the jobs, the last submitted first: state, progress, accepted share, speed, time left, age."""
    if context.invoked_subcommand is not None:
        return
    here = settings()
    found = [orders.seen(job, here) for job in JobStore(here.jobs_url).list()]
    if not found:
        typer.echo("no job has run yet: tracemill run demo")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "name", "state", "progress"):
        table.add_column(column, no_wrap=True)
    for column in ("accepted", "tokens/s", "ETA", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    for job in found:
        table.add_row(*map(Text, _cells(job)))
    # On a pipe no line is cut.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cells(job: Job) -> tuple[str, ...]:
    now, is_running = job.progress, job.state is JobState.RUNNING
    age = (datetime.now(UTC) - job.created_at).total_seconds()
    speed = f"{now['tokens_per_s']:,.0f}" if is_running and now.get("tokens_per_s") else ""
    share = _accepted(job)
    return (
        job.id[:8],
        job.name,
        orders.described(job),
        _bar(job),
        "" if share is None else f"{share:.1%}",
        speed,
        _eta(now) if is_running else "",
        duration(age),
    )


def _bar(job: Job) -> str:
    """What is made of what may be made; an adaptive job that has finished has made all that it wanted."""
    progress = job.progress
    if not progress.get("total"):
        return ""
    is_whole = job.state is JobState.FINISHED and not job.harvested
    share = 1.0 if is_whole else min(1.0, progress["durable"] / progress["total"])
    filled = int(share * BAR)
    return "█" * filled + "░" * (BAR - filled) + f" {int(share * 100):>3}%"


def _accepted(job: Job) -> float | None:
    """Share of correct samples in all runs of the job."""
    totals = job.totals
    return totals.correct / totals.samples if totals.samples else None


def _eta(progress: Mapping[str, Any]) -> str:
    """Time to the end with its interval, where there is one."""
    expected = progress.get("eta_s")
    return "" if expected is None else interval(expected, progress.get("eta_low_s"), progress.get("eta_high_s"))


@app.command("show")
def show(job: JobArgument) -> None:
    """Show one job: state, figures of all its runs, and its funnel so far."""
    here = settings()
    found = orders.seen(find_job(job, JobStore(here.jobs_url)), here)
    progress, totals = found.progress, found.totals
    lines = {
        "job": f"{found.id} ({found.name}), run by a {found.runner}",
        "state": orders.described(found) + (f": {found.error}" if found.error and found.error != orders.DIED else ""),
        "samples": f"{progress.get('durable', 0):,} of {progress['total']:,}" if progress.get("total") else "",
        "accepted": f"{totals.correct:,} of {totals.samples:,} ({_accepted(found):.1%})" if totals.samples else "",
        "taken": f"{totals.prompt_tokens:,} prompt tokens, {totals.completion_tokens:,} generated tokens, "
        f"{duration(totals.seconds)}, {totals.gpu_seconds:,.0f} GPU-seconds"
        if totals.samples
        else "",
        "time left": _eta(progress) if found.state is JobState.RUNNING else "",
        "corpus": found.corpus or "",
        "created": f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC, last change {found.updated_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    for name, line in lines.items():
        if line:
            typer.echo(f"{name:<10} {line}")
    if found.corpus is not None:
        funnel = job_funnel(found, Corpus.open(found.corpus))
        typer.echo("\n" + "\n".join(funnel_lines(funnel)) + "\n\n" + cost_line(funnel))
        if funnel.kept and totals.gpu_seconds:
            typer.echo(f"{totals.gpu_seconds / funnel.kept:,.1f} GPU-seconds a kept trace")


def pause(job: JobArgument) -> None:
    """Stop a job; what its engines have finished is made durable, and `tracemill resume` goes on."""
    _order(Order.PAUSE, job)


def resume(job: JobArgument) -> None:
    """Go on with a paused, stopped, failed or harvested job, in this process."""
    _order(Order.RESUME, job)


def cancel(job: JobArgument) -> None:
    """Stop a job for good; its samples stay in the corpus, and running its recipe again goes on with it."""
    _order(Order.CANCEL, job)


def harvest(job: JobArgument) -> None:
    """Stop generating now, keep what is there, and select the data set from it."""
    _order(Order.HARVEST, job)


def _order(order: Order, name: str) -> None:
    here = settings()
    store = JobStore(here.jobs_url)
    given = orders.give(order, find_job(name, store), "command", here, store)
    if given.is_to_run:
        _run(given.job, here, store, harvest=order is Order.HARVEST)
    else:
        typer.echo(f"job {given.job.name} ({given.job.id[:8]}) is {orders.described(given.job)}")


def _run(job: Job, here: Settings, store: JobStore, harvest: bool) -> None:
    """Run a job that was queued by an order, in its own corpus."""
    there = here if job.corpus is None else here.model_copy(update={"corpus": location(job.corpus)})
    try:
        plan = stored_plan(job)
    except InputError as error:
        store.move(job.id, [JobState.QUEUED], JobState.FAILED, str(error))
        raise
    run_here(plan, there, store, again=f"tracemill resume {job.id[:8]}", harvest=harvest)


def find_job(name: str, store: JobStore) -> Job:
    """The newest job of that name, the job of that id, or the one that begins so. Raises NotFound, or InputError."""
    found = store.list()
    for job in found:
        if name in (job.name, job.id):
            return job
    begin = {
        job.name if job.name.startswith(name) else job.id[:12]: job
        for job in reversed(found)
        if job.name.startswith(name) or job.id.startswith(name)
    }
    if len(begin) > 1:
        raise InputError(f"job: {name!r} is the beginning of several: {', '.join(sorted(begin))}")
    if begin:
        return next(iter(begin.values()))
    hint = nearest(name, {job.name for job in found}) if found else "; none has run yet: tracemill run"
    raise NotFound(f"job: no job is called {name!r}, or has an id that begins so{hint}")
