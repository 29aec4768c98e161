"""The engine that a recipe asks for, opened for as long as a block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tracemill.core.ids import content_id
from tracemill.core.settings import Settings
from tracemill.core.types import Engine
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import resolve
from tracemill.pipelines.plan import Plan


def check_model(plan: Plan, settings: Settings) -> None:
    """Raises SetupError or InputError where the recipe's model is not to be had. Quick: loads nothing."""
    if plan.recipe.generate.engine == "vllm":
        resolve(plan.recipe.generate.model, settings.cache)


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
