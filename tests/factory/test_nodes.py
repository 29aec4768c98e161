"""A pool on a Ray cluster of three nodes on this machine: a node dies, another comes, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.factory.ray_nodes import ray_cluster, ready

from tracemill.core.types import Completion, Message, Request, Sampling
from tracemill.factory import ray_host
from tracemill.factory.actors import open_pool
from tracemill.factory.engines.fake import FakeEngine, FakeOptions
from tracemill.factory.pool import Pool
from tracemill.factory.ray_host import RayHost
from tracemill.factory.replicas import Health

# A machine that waits for its disk takes a minute to start a process.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

QUICK = Health(ping_s=0.1, first_s=0.05, most_s=0.5)


@pytest.fixture
def three_nodes() -> Iterator[Any]:
    with ray_cluster(3) as nodes:
        yield nodes


def request(number: int) -> Request:
    return Request(f"r{number}", (Message("user", "What is 12 + 5?"),), Sampling(), "<think>\n", ("</answer>",))


async def keep_asking(pool: Pool, done: dict[int, Completion]) -> None:
    """As many requests as the pool wants, until it is cancelled."""
    number = 0

    async def one(mine: int) -> None:
        done[mine] = await pool.complete(request(mine))

    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            while len(running) < pool.wanted:
                task = asyncio.create_task(one(number))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        await asyncio.gather(*running)
        assert len(done) == number
        raise


async def test_replicas_follow_the_nodes_and_every_request_finishes(three_nodes: Any) -> None:
    options, done = FakeOptions(seconds=0.1, concurrency=8), dict[int, Completion]()
    async with open_pool(options, three_nodes.address, health=QUICK, grow_s=0.5) as pool:
        pool.grow()
        at_first = await ready(pool, 3)
        assert len(set(at_first.values())) == 3, "one on each node"
        assert pool.wanted == 3 * 16
        asking = asyncio.create_task(keep_asking(pool, done))
        await asyncio.sleep(1)
        three_nodes.remove_node(three_nodes.list_all_nodes()[-1], allow_graceful=False)
        left = await ready(pool, 2)
        assert set(left.items()) < set(at_first.items())
        before = len(done)
        three_nodes.add_node(num_cpus=1)  # takes the main thread, as nodes set signal handlers
        again = await ready(pool, 3)
        assert set(left.items()) < set(again.items())
        (new,) = set(again.values()) - set(left.values())
        assert new not in at_first.values()
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        figures = pool.figures()
    assert len(done) > before > 0
    for number, one in done.items():
        assert one == await FakeEngine().complete(request(number))
    assert figures.retried > 0
    assert figures.set_aside == 0


async def test_a_number_of_replicas_waits_for_room(three_nodes: Any) -> None:
    async with open_pool(FakeOptions(), three_nodes.address, replicas=4, health=QUICK) as pool:
        pool.grow()
        await ready(pool, 3)
        assert sorted(one.state for one in pool.figures().replicas) == ["ready"] * 3 + ["starting"]
        three_nodes.add_node(num_cpus=1)  # takes the main thread, as nodes set signal handlers
        await ready(pool, 4)


async def test_a_replica_whose_place_another_job_took_goes_to_another_node(
    three_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node of three is left to the pool, and another job waits for its core."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    monkeypatch.setattr(ray_host, "PLACED_S", 3.0)
    taker = ray.remote(num_cpus=1)(Taker)

    def take(node_id: str) -> Any:
        return taker.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote()

    health = replace(QUICK, first_s=2.0)  # so that the other job is there first
    async with open_pool(FakeOptions(), three_nodes.address, health=health, idle_s=0, grow_s=0.5) as pool:
        host = cast(RayHost, next(iter(pool.replicas.values())).host)
        first = host.node
        takers = [take(node["NodeID"]) for node in ray.nodes() if node["Alive"]]
        pool.grow()
        await asyncio.sleep(1)
        ray.kill(host._actor)
        await asyncio.gather(*(taker.sits.remote() for taker in takers))
        three_nodes.add_node(num_cpus=1)  # takes the main thread, as nodes set signal handlers
        (again,) = (await ready(pool, 1)).values()
        assert again != first
        assert (await pool.complete(request(1))).request_id == "r1"
        three_nodes.add_node(num_cpus=1)
        await ready(pool, 2)


class Taker:
    """Reserves a core."""

    def sits(self) -> None:
        """Answers when it has it."""
