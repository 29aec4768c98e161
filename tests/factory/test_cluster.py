"""Replicas as real Ray actors: killed, hung, shared, released; on a cluster of several nodes that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.factory.ray_nodes import cluster_now

from tracemill.core.errors import EngineError, RefusedRequest, SetupError
from tracemill.core.types import Completion, Message, Request, Sampling
from tracemill.factory import cluster, ray_host, room
from tracemill.factory.actors import open_pool
from tracemill.factory.engines.fake import FakeEngine, FakeOptions
from tracemill.factory.figures import ReplicaState
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health

# A machine that waits for its disk takes a minute to start a process.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

QUICK = Health(ping_s=0.1, first_s=0.05, most_s=0.5)


def request(name: str, text: str = "What is 12 + 5?") -> Request:
    return Request(name, (Message("user", text),), Sampling(), "<think>\n", ("</answer>",))


async def ask(pool: Pool, count: int, text: str = "What is 12 + 5?") -> list[Completion | BaseException]:
    asked = (pool.complete(request(f"r{k}", text)) for k in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


async def expected(count: int) -> list[Completion]:
    return [await FakeEngine().complete(request(f"r{k}")) for k in range(count)]


async def until(is_so: Callable[[], Any], shown: Callable[[], object] | None = None, seconds: float = 240) -> None:
    """An engine whose pool closed just as it was started again ends by itself, a minute later."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"it did not come to that: {shown and shown()}\n{cluster_now()}"
        await asyncio.sleep(0.05)


def processes() -> list[psutil.Process]:
    """The processes of the actors of this test's own cluster."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::EngineActor" in " ".join(one.cmdline()):
                found.append(one)
    return found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster that this process did not start: engines outlive the pools."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_worker_niceness", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
    try:
        cluster.connect(nodes.address)
        yield nodes.address
    finally:
        import ray

        ray.shutdown()
        nodes.shutdown()


def test_a_process_that_is_in_one_cluster_does_not_take_it_for_another(address: str) -> None:
    cluster.connect(address)
    cluster.connect(None)
    cluster.connect("localhost:" + address.rpartition(":")[2])
    with pytest.raises(
        SetupError, match=rf"^ray_address: .* joined the cluster at {address}; for 127\.0\.0\.1:1 start"
    ):
        cluster.connect("127.0.0.1:1")


async def test_a_killed_actor_loses_nothing_and_comes_back(address: str) -> None:
    options = FakeOptions(seconds=0.05, label="killed")
    async with open_pool(options, address, replicas=2, idle_s=0, health=QUICK) as pool:
        assert pool.wanted == 24, "one replica"
        pool.grow()
        await pool.changed(24)
        running = asyncio.create_task(ask(pool, 300))
        await asyncio.sleep(0.2)
        victim = processes()[0]
        victim.send_signal(signal.SIGKILL)
        done = await running
        assert done == await expected(300)
        await until(lambda: all(one.state is ReplicaState.READY for one in pool.figures().replicas))
        figures = pool.figures()
    assert sum(one.restarts for one in figures.replicas) == 1
    assert 0 < figures.retried <= 32
    assert figures.set_aside == 0
    await until(lambda: not processes())


async def test_an_actor_that_is_stopped_is_found_by_its_pings(address: str) -> None:
    options = FakeOptions(seconds=0.01, label="stopped")
    async with open_pool(options, address, replicas=1, idle_s=0, health=replace(QUICK, hang_s=1.0)) as pool:
        await ask(pool, 10)
        processes()[0].send_signal(signal.SIGSTOP)
        assert await ask(pool, 50) == await expected(50)
        assert pool.figures().replicas[0].restarts == 1
    await until(lambda: not processes())


async def test_an_engine_that_makes_no_token_is_hung(address: str) -> None:
    options = FakeOptions(hangs_after=20, label="hung")
    async with open_pool(options, address, replicas=1, idle_s=0, health=replace(QUICK, hang_s=1.0)) as pool:
        assert await ask(pool, 40) == await expected(40)
        one = pool.figures().replicas[0]
        assert one.restarts >= 1
        assert "made no token" in one.reason


async def test_a_poison_prompt_is_set_aside(address: str) -> None:
    options = FakeOptions(seconds=0.02, poison="42", label="poison")
    async with open_pool(options, address, replicas=1, idle_s=0, health=QUICK) as pool:
        bad = asyncio.create_task(pool.complete(request("bad", "What is 42 + 1?")))
        assert await ask(pool, 60) == await expected(60)
        with pytest.raises(
            RefusedRequest, match=r"the engine died \d times while it ran this request: its process died"
        ):
            await bad
        assert pool.figures().set_aside == 1


async def test_cancelling_stops_the_request_in_the_actor(address: str) -> None:
    async with open_pool(FakeOptions(seconds=60, label="slow"), address, replicas=1, idle_s=0, health=QUICK) as pool:
        running = [asyncio.create_task(pool.complete(request(f"r{k}"))) for k in range(20)]
        await until(lambda: pool.figures().replicas[0].running == 16)
        assert pool.figures().replicas[0].waiting == 4
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await until(lambda: pool.figures().replicas[0].running == 0)


async def test_two_pools_share_an_engine_and_it_goes_when_both_have_left(address: str) -> None:
    options = FakeOptions(seconds=0.01, label="shared")
    async with open_pool(options, address, replicas=1, idle_s=1.0, health=QUICK) as first:
        async with open_pool(options, address, replicas=1, idle_s=1.0, health=QUICK) as second:
            assert len(processes()) == 1
            assert [await ask(first, 20), await ask(second, 20)] == [await expected(20)] * 2
            await until(lambda: second.figures().replicas[0].completion_tokens > 400)
        await asyncio.sleep(2)
        assert await ask(first, 20) == await expected(20)
        assert first.figures().replicas[0].restarts == 0, "closing one pool leaves the other's engine alone"
    assert room.actors_named("engine-"), "it waits for a next job"
    await until(lambda: not room.actors_named("engine-"))
    await until(lambda: not processes())


async def test_a_driver_that_is_killed_leaves_no_work_behind(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine stops what the dead job had asked for, serves others, and ends when nobody is left."""
    script = f"""
        import asyncio
        from tracemill.core.types import Message, Request, Sampling
        from tracemill.factory import engine_actor
        from tracemill.factory.actors import open_pool
        from tracemill.factory.engines.fake import FakeOptions
        async def main():
            async with open_pool(FakeOptions(seconds=600, label="orphan"), {address!r}, replicas=1) as pool:
                asked = [Request(str(k), (Message("user", "?"),), Sampling()) for k in range(16)]
                running = [asyncio.create_task(pool.complete(one)) for one in asked]
                await asyncio.sleep(1.5)
                print(pool.figures().replicas[0].running, flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:  # noqa: ASYNC220 - it is quick
        assert driver.stdout is not None
        assert (await asyncio.to_thread(driver.stdout.readline)).strip() == "16"
        (process,) = processes()
        driver.kill()
    options = FakeOptions(seconds=600, label="orphan")
    async with open_pool(options, address, replicas=1, idle_s=0, health=QUICK) as pool:
        await asyncio.sleep(1)  # it has said how much runs
        await until(lambda: pool.figures().replicas[0].running == 0, pool.figures)
        assert pool.figures().replicas[0].restarts == 0
        assert processes() == [process]
    await until(lambda: not processes())


async def test_an_engine_that_cannot_start_says_why_at_once(address: str) -> None:
    options = FakeOptions(broken="no such model")
    with pytest.raises(EngineError, match=r"^the fake engine cannot start: no such model$"):
        async with open_pool(options, address, replicas=2, idle_s=0):
            raise AssertionError("unreachable")
    await until(lambda: not processes())


async def test_what_waits_for_room_says_so_and_goes_with_its_pool(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This cluster was joined and may get a bigger node: it is waited for."""
    monkeypatch.setattr(ray_host, "PLACED_S", 1.0)
    maker = ray_host.HostMaker(FakeOptions(label="big"), gpus=5, idle_s=600, elastic=True)
    pool = Pool(QUICK)
    pool.add(maker.host("engine-big-0"))
    await until(lambda: pool.figures().replicas[0].reason)
    (one,) = pool.figures().replicas
    assert (one.state, one.reason) == (ReplicaState.STARTING, "waits for room: needs 5 GPUs")
    assert room.actors_named("engine-big")
    await pool.close()
    assert not room.actors_named("engine-big"), "nobody else would ever end it"


async def test_the_first_of_two_engines_leaves_room_for_the_second(address: str) -> None:
    """Four cores: an engine that took all of them before the other is ready would keep the job from ever starting."""
    first, second = FakeOptions(label="first"), FakeOptions(label="second")
    async with open_pool(first, address, replicas=4, idle_s=0, health=QUICK) as one:
        async with open_pool(second, address, replicas=1, idle_s=0, health=QUICK) as two:
            one.grow()
            two.grow()
            await until(lambda: sum(it.state is ReplicaState.READY for it in one.figures().replicas) == 3, one.figures)
            assert (await ask(two, 5), await ask(one, 5)) == (await expected(5), await expected(5))
        await until(lambda: sum(it.state is ReplicaState.READY for it in one.figures().replicas) == 4, one.figures)
    await until(lambda: not processes())


def test_a_method_of_a_detached_actor_goes_on_after_any_number_of_kills(address: str, tmp_path: Path) -> None:
    """Five kills: Ray starts it again each time, after a pause that grows."""
    cluster.start_detached("stubborn", Stubborn, "run", tmp_path, 6, address=address, again=False)
    for lives in range(1, 6):
        deadline = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < lives:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(int((tmp_path / str(lives)).read_text()), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "stubborn" in room.actors_named("stubborn"):
        assert time.monotonic() < deadline, "it ends when its work is done"
        time.sleep(0.1)
    assert len(list(tmp_path.iterdir())) == 6


class Stubborn:
    """Lives until it has been started so many times."""

    async def run(self, folder: Path, lives: int) -> None:
        number = len(list(folder.iterdir())) + 1
        (folder / str(number)).write_text(str(os.getpid()))
        await asyncio.sleep(0.1 if number == lives else 600)
