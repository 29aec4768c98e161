"""Does the stages of a pipeline, one after the other, in this process; `pipelines.stages` says what they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tracemill.core.errors import TracemillError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import orders, training
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.evaluation import assess, checked, evaluation_recipe
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.recipe import Recipe, from_anywhere
from tracemill.pipelines.runner import Result
from tracemill.pipelines.stage_checks import check, check_here
from tracemill.pipelines.stages import Made, StageSection, StagesRecipe, recipe_of, train_section_of
from tracemill.trainers import scratch


@dataclass(frozen=True)
class Doing:
    """What the caller does and shows; blocks as long as that takes."""

    job: Callable[[Plan, JobStore], Result]
    """Run a queued job to its end. Raises Stopped where it was told to stop before."""
    training: Callable[[], AbstractContextManager[training.Watch]]
    """What a training is told to, as long as it runs."""
    on_stage: Callable[[StageSection, int, int], None] = lambda stage, number, count: None
    """A stage begins: its number, from 1, and how many there are."""
    on_made: Callable[[Made], None] = lambda made: None


def run_stages(pipeline: StagesRecipe, settings: Settings, doing: Doing) -> list[Made]:
    """All stages in order. Interrupted, what is durable stays, and the next call goes on there.

    Raises InputError or SetupError before the first begins, for what `stage_checks` finds: not after a day of training.
    """
    check(pipeline)
    check_here(pipeline, settings)
    work = _Stages(pipeline, settings, doing, {})
    for number, stage in enumerate(pipeline.stages, 1):
        doing.on_stage(stage, number, len(pipeline.stages))
        done: Mapping[str, Callable[[StageSection], Made]] = {
            "run": work.run, "train": work.train, "evaluate": work.evaluate, "scratch": work.scratch,
            "model": work.model,
        }  # fmt: skip
        work.made[stage.name] = done[stage.kind](stage)
        doing.on_made(work.made[stage.name])
    return list(work.made.values())


@dataclass(frozen=True)
class _Stages:
    """The pipeline and what it has made so far."""

    pipeline: StagesRecipe
    settings: Settings
    doing: Doing
    made: dict[str, Made]

    def run(self, stage: StageSection) -> Made:
        plan = self._planned(recipe_of(self.pipeline, stage, self.made))
        result = self._run(plan)
        if not result.dataset.rows:
            raise TracemillError(f"stages.{stage.name}: no trace was kept; see tracemill jobs show {plan.recipe.name}")
        name = f"{result.dataset.name}@{result.dataset.version}"
        return Made(stage.name, "run", dataset=name, told=f"{name}: {result.dataset.rows:,} traces")

    def evaluate(self, stage: StageSection) -> Made:
        plan = self._planned(evaluation_recipe(recipe_of(self.pipeline, stage, self.made)))
        corpus = Corpus.open(self.settings.corpus)
        seen = checked(plan, corpus)
        self._run(plan)
        found = assess(plan, corpus, seen)
        return Made(stage.name, "evaluate", evaluation=found, told=found.line())

    def _planned(self, recipe: Recipe) -> Plan:
        plan = make_plan(from_anywhere(recipe))
        check_model(plan, self.settings)
        return plan

    def _run(self, plan: Plan) -> Result:
        """Queue the job of a stage, and run it."""
        store = JobStore(self.settings.jobs_url)
        orders.submit(plan.job_id, plan.recipe, "command", self.settings, store)
        return self.doing.job(plan, store)

    def train(self, stage: StageSection) -> Made:
        corpus = Corpus.open(self.settings.corpus)
        section = train_section_of(stage, self.made)
        plan = training.plan_training(f"{self.pipeline.name}-{stage.name}", section, self.settings, corpus)
        with self.doing.training() as watch:
            done = training.run(plan, self.settings, corpus, watch)
        told = f"{done.folder.name}: {done.steps:,} steps" if done.is_new else f"{done.folder.name} (unchanged)"
        return Made(stage.name, "train", model=str(done.folder), told=told)

    def scratch(self, stage: StageSection) -> Made:
        section = stage.scratch
        assert section is not None
        wanted = content_id("scratch", canonical_json(section.model_dump(mode="json")))
        folder = self.settings.models / f"{self.pipeline.name}-{stage.name}-{wanted[:8]}"
        if not folder.is_dir():
            beside = folder.with_name(f".{folder.name}")
            shutil.rmtree(beside, ignore_errors=True)
            scratch.make(beside, section.shape(), section.seed)
            beside.rename(folder)
        return Made(stage.name, "scratch", model=str(folder), told=folder.name)

    def model(self, stage: StageSection) -> Made:
        return Made(stage.name, "model", model=stage.model, told=str(stage.model))
