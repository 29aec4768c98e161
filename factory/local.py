"""A pool over one engine in this process: fakes, recorded completions, servers that are asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tracemill.core.types import Engine
from tracemill.factory.figures import EngineStats
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health


class LocalHost:
    """An engine in this process: nothing to start, and what comes back after a failure is the same engine."""

    node, waits_for = "here", ""
    gpus = 0.0

    def __init__(self, engine: Engine, concurrency: int, name: str = "local") -> None:
        self.name, self.concurrency = name, concurrency
        self.complete = engine.complete
        self._stats = getattr(engine, "stats", None)

    async def start(self) -> None:
        """It runs already."""

    async def stats(self) -> EngineStats | None:
        """What the engine says, where it says anything."""
        stats: EngineStats | None = self._stats() if self._stats else None
        return stats

    async def end(self) -> None:
        """Nothing to kill."""

    def is_gone(self) -> bool:
        """This process is there."""
        return False

    async def leave(self) -> None:
        """Nothing to give back."""


LOCAL = Health(first_s=0.5, give_up=3)
"""An engine in this process is not started again, only asked again."""


@asynccontextmanager
async def local_pool(engine: Engine, concurrency: int, health: Health = LOCAL) -> AsyncIterator[Pool]:
    """A pool over one engine in this process, which takes `concurrency` requests at once."""
    pool = Pool(health)
    pool.add(LocalHost(engine, concurrency))
    try:
        await pool.ready()
        yield pool
    finally:
        await pool.close()
