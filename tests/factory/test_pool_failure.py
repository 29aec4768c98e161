"""What nobody expects of a pool: it is closed, its replicas are lost, engines raise anything. Nobody waits for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.factory.scripted_host import QUICK, ScriptedHost, ask, names, pool_of, request

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest, SetAside
from tracemill.core.types import Completion, Request
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.figures import EngineStats, ReplicaState
from tracemill.factory.local import local_pool
from tracemill.factory.pool import Pool

pytestmark = pytest.mark.timeout(30)  # what fails here waits for ever


async def test_a_closed_pool_fails_those_who_wait_and_those_who_come() -> None:
    async with pool_of(ScriptedHost("h", concurrency=1, seconds=3600)) as pool:
        asked = [asyncio.create_task(pool.complete(request(name))) for name in names(12)]
        await asyncio.sleep(0.01)
        assert pool.figures().queued == 12 - 9
        await pool.close()
        done = await asyncio.gather(*asked[9:], return_exceptions=True)
        assert [str(one) for one in done] == ["the pool is closed"] * 3
        with pytest.raises(EngineError, match=r"^the pool is closed$"):
            await pool.complete(request("late"))
        for task in asked:
            task.cancel()


async def test_a_pool_that_fails_with_nothing_in_flight_tells_those_who_watch_it() -> None:
    host = ScriptedHost("h", cannot_start=[])
    async with pool_of(host) as pool:
        watching = asyncio.create_task(pool.changed(pool.wanted))
        host.cannot_start = [EngineError("the GPU fell off the bus")] * 99
        host.die(EngineDied("killed"))
        await watching
        while pool.failure is None:
            await pool.changed(pool.wanted)
        assert str(pool.failure) == "the GPU fell off the bus"
        assert pool.wanted == 0


@pytest.mark.parametrize("method", ["end", "is_gone"])
async def test_what_nobody_expected_of_a_replica_fails_the_pool(method: str) -> None:
    host = ScriptedHost("h", concurrency=1, seconds=3600)

    def fail() -> bool:
        raise RuntimeError("the head does not answer")

    async def fail_later() -> None:
        fail()

    async with pool_of(host) as pool:
        asked = [asyncio.create_task(pool.complete(request(name))) for name in names(20)]
        await asyncio.sleep(0.01)
        setattr(host, method, fail if method == "is_gone" else fail_later)
        host.die(EngineDied("killed"))
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert {str(one) for one in done} == {"h: RuntimeError: the head does not answer"}
        with pytest.raises(EngineError, match="the head does not answer"):
            await pool.complete(request("late"))


async def test_an_engine_that_cannot_say_how_it_does_is_started_again() -> None:
    class Odd(ScriptedHost):
        async def stats(self) -> EngineStats | None:
            if self.starts == 1 and self.answered:
                raise KeyError("running")
            return await super().stats()

    host = Odd("h")
    async with pool_of(host) as pool:
        await ask(pool, "a")
        while host.starts < 2:  # noqa: ASYNC110 - the scripted host has no event for it
            await asyncio.sleep(0.001)
        assert (await ask(pool, "b"))[0].request_id == "b"
        assert pool.figures().replicas[0].reason == "KeyError: 'running'"


async def test_an_engine_that_raises_anything_keeps_no_place() -> None:
    class Odd(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            raise KeyError(request.id)

    async with local_pool(Odd(), 2) as pool:
        for name in names(40):
            with pytest.raises(KeyError, match=name):
                await pool.complete(request(name))
        assert not pool.replicas["local"].aboard


async def test_a_replica_that_comes_back_under_its_name_starts_with_a_clean_slate() -> None:
    first = ScriptedHost("a", node_left=True)
    async with pool_of(ScriptedHost("b"), first, health=replace(QUICK, give_up=1)) as pool:
        await pool.changed(12)
        first.die(EngineDied("its process died"))
        while pool.replicas["a"].state is not ReplicaState.GONE:
            await pool.changed(pool.wanted)
        assert pool.replicas["a"].is_hopeless
        again = pool.add(ScriptedHost("a", cannot_start=[EngineDied("killed")] * 0))
        assert (again.is_hopeless, again.failures) == (False, 0)


async def test_suspects_that_are_cancelled_do_not_hold_up_the_others() -> None:
    """A group that was popped and then cancelled as a whole: the next one gets its turn."""

    class Slow(ScriptedHost):
        is_slow = True

        async def _work(self, request: Request) -> None:
            self.seconds = 3600 if self.is_slow and request.id != "probe" else 0.001
            await super()._work(request)

    host = Slow("h")
    async with pool_of(host) as pool:

        async def is_so(count: int, starts: int) -> None:
            while (len(host.inside - {"probe"}), host.starts) != (count, starts):  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.001)

        asked = {name: asyncio.create_task(pool.complete(request(name))) for name in "abc"}
        await is_so(3, 1)
        host.die(EngineDied("killed"))
        await is_so(3, 2)
        host.die(EngineDied("killed"))
        await is_so(1, 3)
        (alone,) = host.inside
        following = pool._quarantine.waiting[0].request.id
        (last,) = set("abc") - {alone, following}
        host.is_slow = False
        asked[alone].cancel()
        asked[following].cancel()  # its turn comes before it has left the queue
        assert (await asked[last]).request_id == last


async def test_what_engines_die_of_is_told_from_what_they_refuse() -> None:
    host = ScriptedHost("h", is_poison=lambda one: one.prompt_id == "bad")
    async with pool_of(host) as pool:
        await ask(pool, "warm")
        for name in ("a", "b"):  # found, and known
            with pytest.raises(SetAside, match="segmentation fault"):
                await ask(pool, name, prompt_id="bad")
    assert issubclass(SetAside, RefusedRequest)


async def test_figures_say_what_a_replica_waits_for() -> None:
    host = ScriptedHost("h", waits_for="waits for room: needs 5 GPUs")
    pool = Pool(QUICK)
    pool.add(host)
    (one,) = pool.figures().replicas
    assert (one.state, one.reason) == (ReplicaState.STARTING, "waits for room: needs 5 GPUs")
    await pool.close()
