"""`tracemill run`: one recipe from prompts to data set, with live progress. Ctrl-C keeps what is durable."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import Annotated

import typer

from tracemill.cli.corpus import CorpusOption, settings_with
from tracemill.core.errors import Locked, Stopped, TracemillError
from tracemill.core.settings import Settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.generation import Progress
from tracemill.pipelines.jobs import JobState, JobStore
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.references import ReferenceCheck
from tracemill.pipelines.report import cost_line, funnel_lines
from tracemill.pipelines.runner import Result, Watch, run_job


def run(
    recipe: Annotated[str, typer.Argument(help="recipe file, or the name of a shipped one: demo, r1_rejection")],
    corpus: CorpusOption = None,
) -> None:
    """Run a recipe. Run again, it goes on where it stopped."""
    from tracemill.cli.progress import progress_display

    here = settings_with(corpus)
    plan = make_plan(recipes.load(recipe))
    store = JobStore(here.jobs_url)
    store.submit(plan.job_id, plan.recipe, "command")
    generate = plan.recipe.generate
    typer.echo(
        f"job {plan.job_id}: {len(plan.tasks):,} prompts x {generate.samples} samples, {generate.model_name} on "
        f"{generate.engine}, think format {generate.thinking}"
        + (f"; {plan.merged:,} repeated prompts merged" if plan.merged else "")
    )
    with progress_display(plan.samples) as watch:
        result = _run_recorded(plan, here, watch, store, again=f"tracemill run {recipe}")
    _print_result(plan, result)


def _run_recorded(plan: Plan, here: Settings, watch: Watch, store: JobStore, again: str) -> Result:
    """Run the job and keep its state in the store."""
    store.set_state(plan.job_id, JobState.RUNNING)
    durable = 0

    def on_progress(progress: Progress) -> None:
        nonlocal durable
        durable = progress.durable
        watch.on_progress(progress)

    def on_references(found: ReferenceCheck) -> None:
        store.set_references(plan.job_id, found)
        watch.on_references(found)

    try:
        told = replace(watch, on_progress=on_progress, on_references=on_references)
        result = asyncio.run(_until_signal(plan, here, told))
    except asyncio.CancelledError as error:
        store.set_state(plan.job_id, JobState.STOPPED)
        counted = f"{durable:,} of {plan.samples:,} samples are durable" if durable else "what was durable is kept"
        raise Stopped(f"stopped; {counted}; to go on: {again}") from error
    except Locked:
        raise
    except TracemillError as error:
        store.set_state(plan.job_id, JobState.FAILED, str(error))
        raise
    if result.progress is not None:
        store.set_progress(plan.job_id, result.progress)
    store.set_state(plan.job_id, JobState.FINISHED)
    return result


async def _until_signal(plan: Plan, here: Settings, watch: Watch) -> Result:
    """Ctrl-C and SIGTERM stop the job as soon as what is finished is durable."""
    job = asyncio.create_task(run_job(plan, here, watch))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, job.cancel)
    return await job


def _print_result(plan: Plan, result: Result) -> None:
    typer.echo("\n" + "\n".join(funnel_lines(result.funnel)))
    figures = cost_line(result.funnel)
    if result.progress is not None and result.progress.new:
        figures += f", {result.progress.tokens_per_s:,.0f} tokens/s in {result.progress.seconds:,.0f} s"
    typer.echo(f"\n{figures}")
    if result.progress is not None:
        for reason, count in result.progress.refused.items():
            typer.echo(f"{count:,} requests were refused by the engine: {reason}")
    if result.labelled is not None:
        done = result.labelled
        typer.echo(f"{done.labelled:,} of {done.prompts:,} prompts without gold answer were labelled by majority")
    version = result.dataset
    state = "new" if version.is_new else "unchanged"
    if not version.rows:
        raise TracemillError(f"no trace was kept, so {version.name} has no new version; the reasons stand above")
    typer.echo(f"data set {version.name} version {version.version} ({state}): {version.rows:,} traces")
