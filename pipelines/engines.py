"""The engines that a recipe asks for, opened for as long as a block lasts: one that makes samples, one that judges."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.ids import content_id
from tracemill.core.settings import Settings
from tracemill.core.types import Engine, Message, Request, Sampling
from tracemill.factory.engines.fake import FakeEngine, last_question
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import resolve
from tracemill.pipelines.plan import Plan, judge_of
from tracemill.pipelines.recipe import GenerateSection, JudgeSection
from tracemill.verifiers.judge import Judge


def check_model(plan: Plan, settings: Settings) -> None:
    """Raises SetupError or InputError where a model of the recipe is not to be had. Quick: loads nothing."""
    if plan.recipe.generate.engine == "vllm":
        resolve(plan.recipe.generate.model, settings.cache)
    section = plan.judge_section
    if section is not None and section.engine == "vllm":
        resolve(section.model, settings.cache, "judge.model")


@asynccontextmanager
async def open_engine(plan: Plan, settings: Settings, durable: int) -> AsyncIterator[Engine]:
    """A ready engine. `durable` is the number of samples already there."""
    section = plan.recipe.generate
    if section.engine == "fake":
        yield FakeEngine()
        return
    from tracemill.factory import cluster

    options = VllmOptions(
        model=resolve(section.model, settings.cache),
        max_num_seqs=section.concurrency,
        reproducible=section.reproducible,
        # A resumed run must not draw the same unseeded samples again.
        seed=int(content_id("engine", plan.job_id, section.seed, durable)[:7], 16),
        extra=section.engine_options,
    )
    async with cluster.vllm_engine(options, settings.ray_address, section.gpus) as engine:
        yield engine


@asynccontextmanager
async def open_plan_judge(plan: Plan, settings: Settings, engine: Engine | None) -> AsyncIterator[Judge | None]:
    """The judge of a plan that needs one; None for others. `engine` makes the samples, and judges where it can.

    Without one, because nothing is left to be generated, the judge gets an engine of its own.
    """
    section, generate = plan.judge_section, plan.recipe.generate
    if section is None:
        yield None
        return
    shared = engine if shares_engine(section, generate) else None
    seed = generate.seed if shared is not None and generate.reproducible else None
    async with open_judge(section, settings, shared, seed) as judge:
        yield judge


def shares_engine(judge: JudgeSection, generate: GenerateSection) -> bool:
    """Whether the engine that makes samples is the one that the judge asks for."""
    return (
        (judge.engine, judge.model) == (generate.engine, generate.model)
        and judge.engine == "vllm"
        and judge.gpus in (None, generate.gpus)
        and judge.engine_options in ({}, generate.engine_options)
    )


@asynccontextmanager
async def open_judge(
    section: JudgeSection, settings: Settings, shared: Engine | None = None, seed: int | None = None
) -> AsyncIterator[Judge]:
    """A judge that asks the section's model, while the block lasts. `judge.verify` blocks: call it in a thread.

    So many threads as `section.concurrency` keep its engine busy. `shared` is an engine that runs already and is asked
    instead of opening one; `seed` is for one that takes seeded requests only. Raises EngineError where the engine
    cannot start or refuses what a judge asks.
    """
    if shared is not None:
        yield await _ready(section, shared, seed)
    elif section.engine == "fake":
        yield await _ready(section, FakeEngine(script=compares_texts), seed)
    else:
        from tracemill.factory import cluster

        options = VllmOptions(
            model=resolve(section.model, settings.cache, "judge.model"),
            max_num_seqs=section.concurrency,
            extra=section.engine_options,
        )
        async with cluster.vllm_engine(options, settings.ray_address, section.gpus) as engine:
            yield await _ready(section, engine, seed)


async def _ready(section: JudgeSection, engine: Engine, seed: int | None) -> Judge:
    """The judge with its engine. A model that takes no chat turns is found here, not in every verdict."""
    judge = judge_of(section, seed)
    sampling = Sampling(section.temperature, max_tokens=1, seed=seed)
    try:
        await engine.complete(Request(content_id("judge", "ready"), (Message("user", "Ready?"),), sampling))
    except RefusedRequest as error:
        raise EngineError(f"judge.model: {section.model} takes no request of a judge: {error}") from error
    return judge.bound(engine, asyncio.get_running_loop())


def compares_texts(request: Request) -> str:
    """What the fake engine replies as judge: correct where the texts are equal but for their spaces."""
    text = last_question(request)
    found, code = re.search(r"^\{.*\}$", text, re.MULTILINE), re.search(r'"request": "(\w+)"', text)
    if found is None or code is None:
        return "I do not know how to judge this."
    given = json.loads(found[0])
    is_same = given["reference"].split() == given["answer"].split()
    analysis = f"The texts are {'equal' if is_same else 'different'}."
    correctness = "correct" if is_same else "incorrect"
    return json.dumps({"analysis": analysis, "correctness": correctness, "request": code[1]})
