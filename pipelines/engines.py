"""The engines that a recipe asks for, opened for as long as a block lasts: those that make samples, one that judges."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tracemill.core.errors import EngineError, InputError, RefusedRequest
from tracemill.core.ids import content_id
from tracemill.core.options import configured
from tracemill.core.settings import Settings
from tracemill.core.types import Engine, Message, Request, Sampling
from tracemill.factory.engines.fake import FakeEngine, FakeOptions, last_question
from tracemill.factory.engines.openai import OpenAIEngine, OpenAIOptions
from tracemill.factory.engines.replay import ReplayEngine, ReplayOptions
from tracemill.factory.engines.transformers import TransformersEngine, TransformersOptions
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.engines.vllm_arguments import check_arguments
from tracemill.factory.forcing import BudgetForcing, ForcedEngine
from tracemill.factory.hosting import EngineOptions
from tracemill.factory.local import local_pool
from tracemill.factory.models import resolve
from tracemill.factory.pool import Pool
from tracemill.factory.thinking import ThinkFormat
from tracemill.pipelines.generate_section import BudgetSection, EngineSection, GenerateSection, MixSection
from tracemill.pipelines.plan import Plan, judge_of
from tracemill.pipelines.recipe import JudgeSection
from tracemill.pipelines.recorded import open_recording
from tracemill.verifiers.judge import Judge

NO_GPU = "generate.gpu_seconds: no engine of this job holds a GPU; leave it out"


def check_model(plan: Plan, settings: Settings) -> None:
    """Raises SetupError or InputError where an engine of the recipe is not to be had. Quick: loads nothing."""
    sections: list[tuple[EngineSection, str]] = [*engine_sections(plan.recipe.generate)]
    if plan.judge_section is not None:
        sections.append((plan.judge_section, "judge"))
    if plan.recipe.generate.budget is not None:
        _forcing(plan.recipe.generate.budget)
    if plan.recipe.generate.gpu_seconds is not None and all(one.engine != "vllm" for one, _ in sections):
        raise InputError(NO_GPU)
    for section, where in sections:
        place = f"{where}.engine_options"
        if section.engine == "vllm":
            resolve(section.model, settings.cache, f"{where}.model")
            check_arguments(section.engine_options, place)
        elif section.engine == "transformers":
            _in_process(section, settings, where, plan)
        elif section.engine == "openai":
            _server(section, place)
        elif section.engine == "fake":
            _fake(section, place)
        elif section.engine == "replay":
            configured(ReplayOptions, section.engine_options, place, "replay")


@dataclass(frozen=True, slots=True)
class Maker:
    """One engine of a job's mix."""

    pool: Pool
    engine: Engine
    """What is asked for samples: the pool, or budget forcing that asks it."""
    model: str
    """What its traces are filed under."""
    weight: float = 1.0
    thinking: str | None = None
    """Its think format, where it is not that of the recipe."""

    def format_of(self, asked: ThinkFormat) -> ThinkFormat:
        """The format that this engine is asked in, with the same worked examples."""
        return asked if self.thinking is None else ThinkFormat.named(self.thinking, asked.examples)


def pick(makers: Sequence[Maker], seed: int, prompt_id: str, sample: int) -> int:
    """Place of the engine that makes this sample: drawn by weight, and always the same one."""
    if len(makers) == 1:
        return 0
    left = int(content_id("mix", seed, prompt_id, sample)[:13], 16) / 16**13 * sum(maker.weight for maker in makers)
    for at, maker in enumerate(makers):
        left -= maker.weight
        if left < 0:
            return at
    return len(makers) - 1


@asynccontextmanager
async def open_makers(plan: Plan, settings: Settings) -> AsyncIterator[tuple[Maker, ...]]:
    """The engines of the recipe's mix, ready."""
    generate = plan.recipe.generate
    async with AsyncExitStack() as stack:
        makers = []
        judge = plan.judge_section
        alone = not generate.mix and (judge is None or judge.engine != "vllm" or shares_engine(judge, generate))
        for section, where in engine_sections(generate):
            pool = await stack.enter_async_context(_open(section, settings, where, plan, alone))
            engine: Engine = pool
            if generate.budget is not None:
                engine = ForcedEngine(pool, _forcing(generate.budget))
            thinking = section.thinking if isinstance(section, MixSection) else None
            makers.append(Maker(pool, engine, section.model_name, section.weight, thinking))
        if generate.gpu_seconds is not None and not any(
            replica.gpus for maker in makers for replica in maker.pool.figures().replicas
        ):
            raise InputError(NO_GPU)
        yield tuple(makers)


def engine_sections(generate: GenerateSection) -> list[tuple[GenerateSection | MixSection, str]]:
    """The engines that make samples, each with the field of the recipe that holds it."""
    mix = [(section, f"generate.mix[{at}]") for at, section in enumerate(generate.mix)]
    return [(generate, "generate"), *mix]


def _forcing(section: BudgetSection) -> BudgetForcing:
    return configured(BudgetForcing, section.model_dump(), "generate.budget", "budget")


@asynccontextmanager
async def _open(
    section: EngineSection, settings: Settings, where: str, plan: Plan | None = None, alone: bool = False
) -> AsyncIterator[Pool]:
    """The pool of one engine. `plan` is that of the job whose samples it makes; a judge's has none.

    `alone`: the job has no other engine that needs room; else the caller says when this one may take more of it.
    """
    place = f"{where}.engine_options"
    async with AsyncExitStack() as stack:
        if section.engine == "replay":
            assert plan is not None  # a judge cannot be one
            replaying = configured(ReplayOptions, section.engine_options, place, "replay")
            recording = await asyncio.to_thread(open_recording, plan.recordings, plan.recorded)
            pool = local_pool(ReplayEngine(stack.enter_context(recording), replaying), section.concurrency)
        elif section.engine == "transformers":
            here = TransformersEngine(_in_process(section, settings, where, plan))
            stack.push_async_callback(here.close)
            await here.start()
            pool = local_pool(here, section.concurrency)
        elif section.engine == "openai":
            server = OpenAIEngine(_server(section, place))
            await server.start()
            stack.push_async_callback(server.close)
            pool = local_pool(server, section.concurrency)
        elif section.engine == "fake" and section.replicas is None:
            fake = _fake(section, place).build()
            await fake.start()
            pool = local_pool(fake, section.concurrency)
        else:
            from tracemill.factory.actors import open_pool

            options = _hosted(section, settings, where, plan)
            idle_s = settings.engine_idle_s
            pool = open_pool(options, settings.ray_address, section.gpus, section.replicas, idle_s, alone=alone)
        yield await stack.enter_async_context(pool)


def _hosted(section: EngineSection, settings: Settings, where: str, plan: Plan | None) -> EngineOptions:
    """What an engine in Ray actors is started from. Raises InputError."""
    if section.engine == "fake":
        return _fake(section, f"{where}.engine_options")
    return VllmOptions(
        model=resolve(section.model, settings.cache, f"{where}.model"),
        max_num_seqs=section.concurrency,
        reproducible=plan is not None and plan.recipe.generate.reproducible,
        extra=section.engine_options,
    )


def _in_process(section: EngineSection, settings: Settings, where: str, plan: Plan | None) -> TransformersOptions:
    """How a model in this process is loaded. Raises InputError."""
    for name in ("gpus", "replicas"):
        if getattr(section, name) is not None:
            raise InputError(f"{where}.{name}: engine transformers is one model in this process; leave it out")
    given = {
        "model": resolve(section.model, settings.cache, f"{where}.model"),
        "concurrency": section.concurrency,
        "reproducible": plan is not None and plan.recipe.generate.reproducible,
    }
    return configured(TransformersOptions, section.engine_options, f"{where}.engine_options", "transformers", given)


def _fake(section: EngineSection, place: str) -> FakeOptions:
    return configured(FakeOptions, section.engine_options, place, "fake", {"concurrency": section.concurrency})


def _server(section: EngineSection, place: str) -> OpenAIOptions:
    """How the server of an `openai` engine is reached. Raises InputError."""
    given = {"model": section.model, "concurrency": section.concurrency}
    if "base_url" not in section.engine_options:
        raise InputError(f"{place}.base_url: name the server, for example http://localhost:8000/v1")
    return configured(OpenAIOptions, section.engine_options, place, "openai", given)


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
        return
    async with open_engine(section, settings, "judge", compares_texts) as pool:
        judge = await _ready(section, pool, seed)
        pool.grow()
        yield judge


@asynccontextmanager
async def open_engine(
    section: EngineSection, settings: Settings, where: str, script: Callable[[Request], str]
) -> AsyncIterator[Pool]:
    """An engine of no job's samples, while the block lasts. The fake one replies with `script`.

    `where` is what its fields are called in errors.
    """
    if section.engine == "fake":
        opening = local_pool(FakeEngine(script=script), section.concurrency)
    else:
        opening = _open(section, settings, where)
    async with opening as pool:
        yield pool


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
