"""Walks one job through the rooms: prompts → generation → majority labels → rejudging → sifting → selection → funnel.

A job whose purpose is an evaluation ends after it is judged: nothing is sifted, and no data set is cut.
The same function serves the command line and the service. What was durable when an earlier run ended is not made again.
Knows nothing of the store of jobs (`pipelines.running`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tracemill.core.errors import Stopped
from tracemill.core.settings import Settings
from tracemill.corpus.funnel import Funnel, funnel
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import DatasetVersion, select
from tracemill.corpus.store import Corpus
from tracemill.pipelines.anatomy import measure
from tracemill.pipelines.brake import Brakes
from tracemill.pipelines.engines import check_model, open_makers, open_plan_judge
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.job_sifting import sift
from tracemill.pipelines.majority import Labelled, label
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.references import ReferenceCheck, check_references
from tracemill.pipelines.rejudging import settle, unsettled
from tracemill.verifiers.judge import Judge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to."""

    job_id: str
    funnel: Funnel
    dataset: DatasetVersion
    """Version 0 of an evaluation, which cuts none."""
    progress: Progress | None
    """Figures of this run's generation; None where every sample was there already."""
    labelled: Labelled | None
    """What became of prompts without gold; None where the recipe has no `verify.majority`."""
    harvested: bool = False
    """Whether generation was ended before all samples were made, because it was asked to."""


@dataclass
class Watch:
    """What the caller is told while a job runs."""

    on_stage: Callable[[str], None] = lambda stage: None
    """`checking` (references), `loading`, `generating`, `labelling`, `judging` (again), `sifting`, `selecting`."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_checking: Callable[[int, int], None] = lambda done, total: None
    """References checked so far, and all."""
    on_sifting: Callable[[str, int], None] = lambda sifter, seen: None
    """Who looks, `filters`, a sieve's name or `anatomy`, and how many traces it has seen."""
    on_references: Callable[[ReferenceCheck], None] = lambda found: None


async def run_job(plan: Plan, settings: Settings, watch: Watch) -> Result:
    """Run a job to its end. Cancel it to stop: every durable sample stays, and the next run goes on from there."""
    corpus = Corpus.open(settings.corpus)
    with Ledger.open(corpus, plan.job_id) as ledger:
        result = await run_held(plan, settings, watch, corpus, ledger, Brakes())
    assert result is not None  # nobody has the brakes
    return result


async def run_held(
    plan: Plan, settings: Settings, watch: Watch, corpus: Corpus, ledger: Ledger, brakes: Brakes
) -> Result | None:
    """`run_job` for one who holds the ledger; None where it was told to stop."""
    check_model(plan, settings)
    made, is_data = _Made(), plan.recipe.purpose == "data"
    async with brakes.stop.block():
        if plan.recipe.generate.retry or plan.recipe.generate.adaptive is not None:
            # Else samples whose judge had failed would count as undecided, and others be drawn in their place.
            async with AsyncExitStack() as engines:
                await _judge_again(plan, settings, watch, corpus, None, engines)
        async with AsyncExitStack() as engines:
            generation = await asyncio.to_thread(Generation, plan, ledger, watch.on_progress)
            if not generation.is_complete:
                async with brakes.harvest.block():
                    await _generate(generation, settings, watch, corpus, engines, made)
            if made.judge is None:
                await engines.aclose()
            await asyncio.to_thread(ledger.commit)
            labelled = await _label(plan, corpus, watch)
            await _judge_again(plan, settings, watch, corpus, made.judge, engines)
        if is_data:
            watch.on_stage("sifting")
            await _stoppable(partial(_sift, plan, corpus, settings, watch))
    if brakes.stop.has_ended:
        return None
    name, selection = plan.recipe.name, plan.policy.selection(plan.recipe.select)
    dataset = DatasetVersion(name, 0, 0, plan.job_id, plan.policy.id, selection)
    if is_data:
        watch.on_stage("selecting")
        dataset = await asyncio.to_thread(select, corpus, plan.job_id, plan.policy.id, name, selection)
    return Result(
        job_id=plan.job_id,
        funnel=await asyncio.to_thread(funnel, corpus, plan.job_id, plan.policy.id, dataset if is_data else None),
        dataset=dataset,
        progress=made.progress,
        labelled=labelled,
        harvested=brakes.harvest.has_ended,
    )


@dataclass
class _Made:
    """What there is of the generation, wherever it was ended."""

    progress: Progress | None = None
    judge: Judge | None = None
    """With its engine, which is open still."""


async def _generate(
    generation: Generation, settings: Settings, watch: Watch, corpus: Corpus, engines: AsyncExitStack, made: _Made
) -> None:
    """Make the missing samples. A judge's engine stays open for what is judged after it."""
    await asyncio.sleep(0)  # where the brake is pulled already, nothing is done
    plan = generation.plan
    await _check_prompts(plan, corpus, watch)
    watch.on_stage("loading")
    makers = await engines.enter_async_context(open_makers(plan, settings))
    judge = await engines.enter_async_context(open_plan_judge(plan, settings, makers[0].pool))
    for maker in makers:
        maker.pool.grow()  # now that each engine of the job has its first replica
    watch.on_stage("generating")
    made.judge = judge
    try:
        await generation.run(makers, judge)
    finally:
        made.progress = generation.progress()


async def _label(plan: Plan, corpus: Corpus, watch: Watch) -> Labelled | None:
    if plan.recipe.verify.majority is None:
        return None
    watch.on_stage("labelling")
    own = {name: verifiers[0] for name, verifiers in plan.judges.items()}
    return await _stoppable(partial(label, corpus, plan.job_id, own, plan.recipe.verify.majority.min_votes))


async def _judge_again(
    plan: Plan, settings: Settings, watch: Watch, corpus: Corpus, judge: Judge | None, engines: AsyncExitStack
) -> None:
    """Make the verdicts that could not be made when their traces were; the judge is opened only where one is asked."""
    if plan.recipe.verify.majority is None and plan.judge_section is None:
        return
    left = await asyncio.to_thread(unsettled, corpus, plan)
    if not left.verdicts:
        return
    if left.asked and judge is None:
        watch.on_stage("loading")
        judge = await engines.enter_async_context(open_plan_judge(plan, settings, None))
    watch.on_stage("judging")
    await _stoppable(partial(settle, corpus, plan if judge is None else plan.with_judge(judge)))


async def _check_prompts(plan: Plan, corpus: Corpus, watch: Watch) -> None:
    """Look at the references and store the prompts. Raises InputError where no reference can be read."""
    watch.on_stage("checking")
    own = {name: verifiers[0] for name, verifiers in plan.judges.items()}
    tasks = plan.tasks
    check = partial(check_references, tasks.prompts(), len(tasks), own, watch.on_checking)
    watch.on_references(await _stoppable(check))
    await asyncio.to_thread(corpus.add_prompts, tasks.prompts())


def _sift(plan: Plan, corpus: Corpus, settings: Settings, watch: Watch, stopped: Callable[[], bool]) -> None:
    def look(sifter: str, seen: int) -> None:
        if stopped():
            raise Stopped("while sifting")
        watch.on_sifting(sifter, seen)

    sift(plan.job_id, plan.policy, corpus, settings, look)
    measure(corpus, plan.job_id, partial(look, "anatomy"), address=settings.ray_address)


async def _stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """The work in a thread; cancelled, it is told so, leaves the rest, and is waited for while its engine is open."""
    stopped = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, stopped.is_set))
    try:
        return await asyncio.shield(working)
    finally:
        stopped.set()
        await asyncio.gather(working, return_exceptions=True)
