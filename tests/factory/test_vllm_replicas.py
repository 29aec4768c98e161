"""Two replicas of the real model, one of which is killed. On its own, so that no other engine takes the cores."""

from __future__ import annotations

import asyncio
import contextlib

import psutil
import pytest

from tracemill.core.settings import settings
from tracemill.core.types import Message, Request, Sampling
from tracemill.factory.actors import open_pool
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import model_folder
from tracemill.factory.replicas import Health

pytestmark = [pytest.mark.vllm, pytest.mark.ray]


def request(name: str) -> Request:
    return Request(name, (Message("user", "What is 5 + 2?"),), Sampling(max_tokens=32))


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
async def test_of_two_replicas_one_is_killed_and_nothing_is_lost() -> None:
    """The engine's own process ends with its actor, else it would keep the memory that the next one needs."""
    options = VllmOptions(
        str(model_folder("smollm2-135m", settings().cache)), max_num_seqs=4, extra={"max_model_len": 512}
    )
    async with open_pool(options, None, 0, replicas=2, health=Health(first_s=0.1)) as pool:
        pool.grow()
        async with asyncio.timeout(400):
            await pool.changed(12)
        running = asyncio.gather(*(pool.complete(request(f"two-{k}")) for k in range(24)))
        await asyncio.sleep(3)
        actor = actors()[0]
        of_engine = engines(actor)
        actor.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, of_engine, 20)
        assert not alive
        done = await running
        figures = pool.figures()
    assert [one.request_id for one in done] == [f"two-{k}" for k in range(24)]
    assert all(one.completion_tokens > 0 for one in done)
    assert 0 < figures.retried <= 20
    assert any("its process died" in one.reason for one in figures.replicas)
