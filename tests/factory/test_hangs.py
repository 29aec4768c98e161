"""What hangs is found; what stood still together with its machine, or was stopped and goes on, does not hang."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from tests.factory.scripted_host import QUICK, ScriptedHost, ask, request

from tracemill.core.errors import EngineDied
from tracemill.core.types import Completion, Request
from tracemill.factory import lives
from tracemill.factory.engine_actor import TICK_S, EngineActor
from tracemill.factory.figures import EngineStats, ReplicaState
from tracemill.factory.hosting import HostedEngine
from tracemill.factory.pool import Pool

pytestmark = pytest.mark.timeout(30)  # what fails here waits for ever


class Unattended(EngineActor):
    """Without the thread that ends its process."""

    def _attend(self) -> None:
        """Nothing."""

    def look(self) -> None:
        """What the thread does twice a second."""
        self._looked = time.monotonic()
        self._beat_once()


class Hanging:
    """An engine like vLLM: its figures change with a step, and its first step never ends."""

    concurrency = devices = 1

    def build(self) -> HostedEngine:
        return self

    async def start(self) -> None:
        self.figures, self.step = EngineStats(), asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        await self.step.wait()
        return Completion(request.id, "", 1, 1, "stop")

    def stats(self) -> EngineStats:
        return self.figures

    def stop(self) -> None:
        """Nothing to stop."""


class Ending(EngineActor):
    """Says that it ends, and does not."""

    def _end(self) -> None:
        ended.set()
        threading.Event().wait()


ended = threading.Event()


async def test_who_comes_to_an_engine_that_is_ending_has_to_start_another() -> None:
    ended.clear()
    actor = Ending(Hanging())
    await actor.start("first")
    await actor.leave("first", 0.0)
    await actor.start("second")  # in time
    assert not await asyncio.to_thread(ended.wait, 3 * TICK_S)
    await actor.leave("second", 0.0)
    assert await asyncio.to_thread(ended.wait, 20)
    for late in (actor.start("third"), actor.stats("third"), actor.complete("third", request("a"))):
        with pytest.raises(EngineDied, match=r"^it was ending, because no job used it$"):
            await late


async def test_an_engine_that_was_idle_and_hangs_at_its_first_step_is_found() -> None:
    engine = Hanging()
    actor = Unattended(engine)
    await actor.start("client")

    async def stalled() -> float:
        actor.look()
        return (await actor.stats("client")).stalled_s

    await asyncio.sleep(0.2)
    asked = asyncio.create_task(actor.complete("client", request("a")))
    await asyncio.sleep(0.1)
    assert 0.1 <= await stalled() < 0.2, "since it has work"
    engine.figures = EngineStats(completion_tokens=1)
    assert await stalled() < 0.1, "a token"
    await asyncio.sleep(0.1)
    assert await stalled() >= 0.1
    engine.step.set()
    await asked
    await asyncio.sleep(0.1)
    assert await stalled() == 0, "nothing to do"


async def test_an_engine_that_stood_still_with_its_process_does_not_hang() -> None:
    actor = Unattended(Hanging())
    await actor.start("client")
    asked = asyncio.create_task(actor.complete("client", request("a")))
    await asyncio.sleep(0.05)
    actor.look()
    before = (await actor.stats("client")).stalled_s
    await asyncio.sleep(0.3)  # the thread that watches it stood still too
    assert (await actor.stats("client")).stalled_s == before < 0.1
    asked.cancel()


async def test_a_driver_that_stood_still_keeps_its_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock says that no ping was answered for longer than an engine may be silent."""
    monkeypatch.setattr(lives, "PING_TIMEOUT_S", 0.1)

    class Slow(ScriptedHost):
        async def stats(self) -> EngineStats | None:
            pinged.set()
            await asyncio.sleep(0.05)
            return await super().stats()

    host, pinged = Slow("h"), asyncio.Event()
    pool = Pool(replace(QUICK, hang_s=0.5))
    pool.add(host)
    await pool.ready()
    for _ in range(3):
        pinged.clear()
        await pinged.wait()
        time.sleep(0.7)  # noqa: ASYNC251 - stands for SIGSTOP
    await ask(pool, "after")
    (one,) = pool.figures().replicas
    assert (one.state, one.restarts, host.starts) == (ReplicaState.READY, 0, 1)
    await pool.close()
