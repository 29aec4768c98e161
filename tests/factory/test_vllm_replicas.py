"""Two replicas of the real model, each on its own node. On its own, so that no other engine takes the cores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from tests.factory.ray_nodes import ray_cluster, ready

from tracemill.core.settings import settings
from tracemill.core.types import Completion, Message, Request, Sampling
from tracemill.factory.actors import open_pool
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import model_folder
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health

pytestmark = [pytest.mark.vllm, pytest.mark.ray]


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    with ray_cluster(2) as nodes:
        yield nodes


def request(name: str) -> Request:
    return Request(name, (Message("user", "What is 5 + 2?"),), Sampling(max_tokens=32))


async def ask(pool: Pool, name: str) -> list[Completion]:
    return await asyncio.gather(*(pool.complete(request(f"{name}-{k}")) for k in range(24)))


def check(name: str, done: list[Completion]) -> None:
    assert [one.request_id for one in done] == [f"{name}-{k}" for k in range(24)]
    assert all(one.completion_tokens > 0 for one in done)


def actors() -> list[psutil.Process]:
    """Those of this process's cluster that have an engine."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::EngineActor" in " ".join(one.cmdline()) and engines(one):
                found.append(one)
    return found


def engines(actor: psutil.Process) -> list[psutil.Process]:
    return [one for one in actor.children(recursive=True) if "VLLM" in one.name()]


@pytest.mark.timeout(900)
async def test_an_actor_and_a_node_are_killed_a_node_comes_and_nothing_is_lost(two_nodes: Any) -> None:
    """An engine's own process ends with its actor, else it would keep the memory that the next one needs."""
    options = VllmOptions(
        str(model_folder("smollm2-135m", settings().cache)), max_num_seqs=4, extra={"max_model_len": 512}
    )
    async with open_pool(options, two_nodes.address, 0, health=Health(first_s=0.1), idle_s=0, grow_s=0.5) as pool:
        pool.grow()
        at_first = await ready(pool, 2)
        assert len(set(at_first.values())) == 2, "one on each node"

        running = asyncio.create_task(ask(pool, "actor"))
        await asyncio.sleep(3)
        actor = actors()[0]
        of_engine = engines(actor)
        actor.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, of_engine, 20)
        assert not alive
        check("actor", await running)
        assert any("its process died" in one.reason for one in pool.figures().replicas)
        assert await ready(pool, 2) == at_first

        running = asyncio.create_task(ask(pool, "node"))
        await asyncio.sleep(3)
        of_engines = [engine for one in actors() for engine in engines(one)]
        two_nodes.remove_node(two_nodes.list_all_nodes()[-1], allow_graceful=False)
        left = await ready(pool, 1)
        assert set(left.items()) < set(at_first.items())
        check("node", await running)
        await asyncio.to_thread(psutil.wait_procs, of_engines, 20)
        assert sum(one.is_running() for one in of_engines) == 1, "the engine of the dead node has ended too"

        two_nodes.add_node(num_cpus=1)  # takes the main thread, as nodes set signal handlers
        again = await ready(pool, 2)
        assert set(left.items()) < set(again.items())
        check("again", await ask(pool, "again"))
        figures = pool.figures()
    assert 0 < figures.retried <= 40
    assert figures.set_aside == 0
