"""Walks one job through the rooms: prompts → generation → majority labels → sifting → selection → funnel.

The same function serves the command line and the service. What was durable when an earlier run ended is not made again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tracemill.core.settings import Settings
from tracemill.corpus.funnel import Funnel, funnel
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.selection import DatasetVersion, select
from tracemill.corpus.store import Corpus
from tracemill.pipelines.engines import check_model, open_engine, open_plan_judge
from tracemill.pipelines.generation import Generation, Progress
from tracemill.pipelines.majority import Labelled, label
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.references import ReferenceCheck, check_references
from tracemill.pipelines.sifting import sift

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to."""

    job_id: str
    funnel: Funnel
    dataset: DatasetVersion
    progress: Progress | None
    """Figures of this run's generation; None where every sample was there already."""
    labelled: Labelled | None
    """What became of prompts without gold; None where the recipe has no `verify.majority`."""


@dataclass
class Watch:
    """What the caller is told while a job runs."""

    on_stage: Callable[[str], None] = lambda stage: None
    """`checking` (references), `loading`, `generating`, `labelling`, `sifting`, `selecting`."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_checking: Callable[[int, int], None] = lambda done, total: None
    """References checked so far, and all."""
    on_references: Callable[[ReferenceCheck], None] = lambda found: None


async def run_job(plan: Plan, settings: Settings, watch: Watch) -> Result:
    """Run a job to its end. Cancel it to stop: every durable sample stays, and the next run goes on from there."""
    check_model(plan, settings)
    corpus = Corpus.open(settings.corpus)
    progress = labelled = None
    with Ledger.open(corpus, plan.job_id) as ledger:
        generation = Generation(plan, ledger, watch.on_progress)
        missing = sum(1 for _ in generation.missing())
        if missing:
            await _check_prompts(plan, corpus, watch)
            watch.on_stage("loading")
            durable = plan.samples - missing
            async with open_engine(plan, settings, durable) as engine, open_plan_judge(plan, settings, engine) as judge:
                watch.on_stage("generating")
                progress = await generation.run(engine, judge)
        if plan.recipe.verify.majority is not None:
            watch.on_stage("labelling")
            ledger.commit()
            own = {name: verifiers[0] for name, verifiers in plan.judges.items()}
            votes = plan.recipe.verify.majority.min_votes
            labelled = await _stoppable(partial(label, corpus, plan.job_id, own, votes))
    watch.on_stage("sifting")
    await asyncio.to_thread(sift, plan, corpus)
    watch.on_stage("selecting")
    name, selection = plan.recipe.name, plan.recipe.select.selection()
    dataset = await asyncio.to_thread(select, corpus, plan.job_id, plan.policy, name, selection)
    counted = await asyncio.to_thread(funnel, corpus, plan.job_id, plan.policy, dataset)
    return Result(job_id=plan.job_id, funnel=counted, dataset=dataset, progress=progress, labelled=labelled)


async def _check_prompts(plan: Plan, corpus: Corpus, watch: Watch) -> None:
    """Look at the references and store the prompts. Raises InputError where no reference can be read."""
    watch.on_stage("checking")
    prompts = [task.prompt for task in plan.tasks]
    own = {name: verifiers[0] for name, verifiers in plan.judges.items()}
    watch.on_references(await _stoppable(partial(check_references, prompts, own, watch.on_checking)))
    await asyncio.to_thread(corpus.add_prompts, prompts)


async def _stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """The work in a thread; cancelled, it is told so, and leaves the rest."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(work, stopped.is_set)
    finally:
        stopped.set()
