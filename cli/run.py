"""`tracemill run`: one recipe from prompts to data set, with live progress. Ctrl-C keeps what is durable."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from functools import partial
from typing import Annotated

import typer

from tracemill.cli.corpus import CorpusOption, settings_with
from tracemill.cli.training_display import training_display
from tracemill.core.errors import InputError, Stopped, TracemillError
from tracemill.core.settings import Settings
from tracemill.factory.strategies.adaptive import most_samples
from tracemill.pipelines import orders
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.jobs import JobState, JobStore
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.report import cost_line, funnel_lines
from tracemill.pipelines.runner import Result, Watch
from tracemill.pipelines.running import Ending, run_stored
from tracemill.pipelines.stages import Made, StageSection, StagesRecipe, at_full_size
from tracemill.pipelines.staging import Doing, run_stages


def run(
    recipe: Annotated[str, typer.Argument(help="recipe file, or the name of a shipped one: demo, r1_rejection, r1, …")],
    harvest: Annotated[bool, typer.Option("--harvest", help="make no sample: select from what is there")] = False,
    full: Annotated[bool, typer.Option("--full", help="a pipeline at the full size that it states")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Run a recipe, or a pipeline of stages. Run again, it goes on where it stopped."""
    here = settings_with(corpus)
    path, data = recipes.read(recipe)
    if isinstance(data, Mapping) and "stages" in data:
        if harvest:
            raise InputError("--harvest: a pipeline of stages has no samples of its own; leave it out")
        pipeline = recipes.parsed(data, StagesRecipe, str(path))
        again = f"tracemill run {recipe}" + (" --full" if full else "")
        run_pipeline(at_full_size(pipeline) if full else pipeline, here, again)
        return
    if full:
        raise InputError(f"--full: {path} has no stages, and no second size; leave it out")
    plan = make_plan(recipes.from_anywhere(recipes.parsed(data, Recipe, str(path))))
    check_model(plan, here)
    store = JobStore(here.jobs_url)
    orders.submit(plan.job_id, plan.recipe, "command", here, store)
    run_here(plan, here, store, again=f"tracemill run {recipe}", harvest=harvest)


def run_here(plan: Plan, here: Settings, store: JobStore, again: str, harvest: bool = False) -> None:
    """Run a queued job in this process and print what it came to; `again` is the command that goes on with it."""
    _print_result(plan, result_here(plan, here, store, again, harvest))


def run_pipeline(pipeline: StagesRecipe, here: Settings, again: str) -> list[Made]:
    """Do the stages in this process and print what each came to; `again` is the command that goes on with them."""

    def job(plan: Plan, store: JobStore) -> Result:
        result = result_here(plan, here, store, again)
        if plan.recipe.purpose == "data":
            typer.echo("\n" + "\n".join(funnel_lines(result.funnel)) + f"\n\n{cost_line(result.funnel)}")
        return result

    def on_stage(stage: StageSection, number: int, count: int) -> None:
        typer.echo(f"\n── stage {number} of {count}, {stage.kind}: {stage.name} " + "─" * 24)

    doing = Doing(job, partial(training_display, again), on_stage, on_made=lambda made: typer.echo(made.told))
    try:
        return run_stages(pipeline, here, doing)
    except KeyboardInterrupt as error:
        raise Stopped(f"stopped; checkpoints are kept; to go on: {again}") from error


def result_here(plan: Plan, here: Settings, store: JobStore, again: str, harvest: bool = False) -> Result:
    """Run a queued job in this process, with live progress. Raises Stopped where it did not come to its end."""
    from tracemill.cli.progress import progress_display

    generate = plan.recipe.generate
    typer.echo(
        f"job {plan.job_id}: {len(plan.tasks):,} prompts x {_most(plan)} samples, {generate.model_name} on "
        f"{generate.engine}, think format {generate.thinking}"
        + (f"; {plan.merged:,} repeated prompts merged" if plan.merged else "")
        + (f"; {plan.held_out:,} held out" if plan.held_out else "")
    )
    if generate.engine == "replay":
        typer.echo("\n".join(plan.recorded.lines(generate.samples)))
    with progress_display(plan.samples) as watch:
        try:
            ending = asyncio.run(_until_signal(plan, here, watch, store, harvest))
        except asyncio.CancelledError as error:
            raise Stopped(f"stopped; {_kept(plan, store)}; to go on: {again}") from error
    if ending.result is None:
        raise Stopped(f"{ending.state}; {_kept(plan, store)}; to go on: {_command(plan, ending, again)}")
    return ending.result


def _most(plan: Plan) -> str:
    """Samples a prompt; of a recording some may have fewer."""
    generate = plan.recipe.generate
    samples = generate.samples
    if generate.adaptive is not None:
        return f"up to {most_samples(generate.adaptive, samples)}"
    return f"{samples}" if plan.samples == len(plan.tasks) * samples else f"up to {samples}"


async def _until_signal(plan: Plan, here: Settings, watch: Watch, store: JobStore, harvest: bool) -> Ending:
    """Ctrl-C and SIGTERM stop the job as soon as what is finished is durable."""
    job = asyncio.create_task(run_stored(plan, here, watch, store, "command", harvest))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, job.cancel)
    return await job


def _kept(plan: Plan, store: JobStore) -> str:
    job = store.get(plan.job_id)
    durable = 0 if job is None else int(job.progress.get("durable", 0))
    return f"{durable:,} of {plan.samples:,} samples are durable" if durable else "what was durable is kept"


def _command(plan: Plan, ending: Ending, again: str) -> str:
    """What goes on with a job that was ordered to stop; `resume` does not take a cancelled one."""
    if ending.state is JobState.PAUSED:
        return f"tracemill resume {plan.job_id[:8]}"
    return again if again.startswith("tracemill run") else "run its recipe again"


def _print_result(plan: Plan, result: Result) -> None:
    typer.echo("\n" + "\n".join(funnel_lines(result.funnel)))
    figures = cost_line(result.funnel)
    if result.progress is not None and result.progress.new:
        figures += f", {result.progress.tokens_per_s:,.0f} tokens/s in {result.progress.seconds:,.0f} s"
    typer.echo(f"\n{figures}")
    if result.harvested:
        typer.echo(f"harvested: {result.funnel.generated:,} of {plan.samples:,} samples were made")
    if result.progress is not None:
        for reason, count in result.progress.refused.items():
            typer.echo(f"{count:,} requests were refused by the engine: {reason}")
    if result.labelled is not None:
        done = result.labelled
        typer.echo(f"{done.labelled:,} of {done.prompts:,} prompts without gold answer were labelled by majority")
    if plan.recipe.purpose == "evaluation":
        typer.echo("made and judged; its figures: tracemill evaluate, with its recipe")
        return
    version = result.dataset
    state = "new" if version.is_new else "unchanged"
    if not version.rows:
        raise TracemillError(f"no trace was kept, so {version.name} has no new version; the reasons stand above")
    typer.echo(f"data set {version.name} version {version.version} ({state}): {version.rows:,} traces")
