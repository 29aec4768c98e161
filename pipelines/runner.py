"""Walks one job through the rooms: prompts → generation → sifting → selection → funnel.

The same function serves the command line and the service. What was durable when an earlier run ended is not made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tracemill.core.settings import Settings
from tracemill.corpus.funnel import Funnel, funnel
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import DatasetVersion, select
from tracemill.corpus.store import Corpus
from tracemill.pipelines.engines import check_model, open_engine
from tracemill.pipelines.generation import Generation, Progress
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.sifting import sift


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to."""

    job_id: str
    funnel: Funnel
    dataset: DatasetVersion
    progress: Progress | None
    """Figures of this run's generation; None where every sample was there already."""


@dataclass
class Watch:
    """What the caller is told while a job runs."""

    on_stage: Callable[[str], None] = lambda stage: None
    """`loading`, `generating`, `sifting`, `selecting`."""
    on_progress: Callable[[Progress], None] = lambda progress: None


async def run_job(plan: Plan, settings: Settings, watch: Watch) -> Result:
    """Run a job to its end. Cancel it to stop: every durable sample stays, and the next run goes on from there."""
    check_model(plan, settings)
    corpus = Corpus.open(settings.corpus)
    await asyncio.to_thread(corpus.add_prompts, [task.prompt for task in plan.tasks])
    progress = None
    with Ledger.open(corpus, plan.job_id) as ledger:
        generation = Generation(plan, ledger, watch.on_progress)
        missing = sum(1 for _ in generation.missing())
        if missing:
            watch.on_stage("loading")
            async with open_engine(plan, settings, plan.samples - missing) as engine:
                watch.on_stage("generating")
                progress = await generation.run(engine)
    watch.on_stage("sifting")
    await asyncio.to_thread(sift, plan, corpus)
    watch.on_stage("selecting")
    name, selection = plan.recipe.name, plan.recipe.select.selection()
    dataset = await asyncio.to_thread(select, corpus, plan.job_id, plan.policy, name, selection)
    counted = await asyncio.to_thread(funnel, corpus, plan.job_id, plan.policy, dataset)
    return Result(job_id=plan.job_id, funnel=counted, dataset=dataset, progress=progress)
