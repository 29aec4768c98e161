"""A replica that does what a test says, and a pool of such."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tracemill.core.errors import EngineDied, EngineError
from tracemill.core.types import Completion, Request, Sampling
from tracemill.factory.figures import EngineStats
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health

QUICK = Health(hang_s=0.2, ping_s=0.01, first_s=0.001, most_s=0.01)


def request(name: str, prompt_id: str = "") -> Request:
    return Request(name, f"What is {name}?", Sampling(), prompt_id=prompt_id)


@dataclass
class ScriptedHost:
    """A replica that does what the test says."""

    name: str
    concurrency: int = 4
    seconds: float = 0.002
    node: str = "n"
    waits_for: str = ""
    gpus: float = 1.0
    cannot_start: list[EngineError] = field(default_factory=list)
    """Raised by the next starts, the last one first."""
    is_poison: Callable[[Request], bool] = lambda request: False
    hangs: bool = False
    node_left: bool = False
    stalled_s: float = 0.0
    starts: int = 0
    asked: list[str] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    cancelled: list[str] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)
    most: int = 0
    left: bool = False
    _death: asyncio.Future[EngineError] | None = None

    async def start(self) -> None:
        self.starts += 1
        if self.cannot_start:
            raise self.cannot_start.pop()
        self._death = asyncio.get_running_loop().create_future()

    def die(self, error: EngineError) -> None:
        if self._death is not None and not self._death.done():
            self._death.set_result(error)

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request.id)
        self.inside.add(request.id)
        self.most = max(self.most, len(self.inside))
        try:
            await self._work(request)
        except asyncio.CancelledError:
            self.cancelled.append(request.id)
            raise
        finally:
            self.inside.discard(request.id)
        self.answered[request.id] += 1
        return Completion(request.id, f"by {self.name}", 2, 3, "stop")

    async def _work(self, request: Request) -> None:
        assert self._death is not None
        if self._death.done():
            raise self._death.result()
        wait = asyncio.create_task(asyncio.sleep(3600 if self.hangs else self.seconds))
        try:
            await asyncio.wait((wait, self._death), return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()
        if self.is_poison(request):
            self.die(EngineDied("segmentation fault"))
        if self._death.done():
            raise self._death.result()

    async def stats(self) -> EngineStats | None:
        assert self._death is not None
        if self._death.done():
            raise self._death.result()
        return EngineStats(running=len(self.inside), stalled_s=self.stalled_s)

    async def end(self) -> None:
        self.die(EngineDied("killed"))
        self.hangs, self.stalled_s = False, 0.0

    def is_gone(self) -> bool:
        return self.node_left

    async def leave(self) -> None:
        self.left = True


@asynccontextmanager
async def pool_of(*hosts: ScriptedHost, health: Health = QUICK) -> AsyncIterator[Pool]:
    pool = Pool(health)
    for host in hosts:
        pool.add(host)
    try:
        await pool.ready()
        yield pool
    finally:
        await pool.close()


async def ask(pool: Pool, *names: str, prompt_id: str = "") -> list[Completion]:
    return await asyncio.gather(*(pool.complete(request(name, prompt_id)) for name in names))


def names(count: int) -> list[str]:
    return [f"r{k}" for k in range(count)]
