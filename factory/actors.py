"""A pool of replicas in Ray actors, which all jobs of a cluster that want the same engine share (`factory.ray_host`).

It starts with one replica. Where there is room for more is looked for once the caller says that it may be taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tracemill.core.errors import SetupError
from tracemill.factory import cluster, room
from tracemill.factory.figures import ReplicaState
from tracemill.factory.hosting import EngineOptions
from tracemill.factory.pool import Pool
from tracemill.factory.ray_host import HostMaker, RayHost
from tracemill.factory.replicas import Health

DEFAULT = Health()


@asynccontextmanager
async def open_pool(
    options: EngineOptions,
    address: str | None,
    gpus: float | None = None,
    replicas: int | None = None,
    idle_s: float = 60.0,
    health: Health = DEFAULT,
    grow_s: float = 5.0,
    alone: bool = False,
) -> AsyncIterator[Pool]:
    """A pool over Ray actors, with the first of them ready.

    The others are started after `Pool.grow` was called, so that another engine of the same job finds room for its
    first; at once where the job has no other (`alone`).

    `gpus` is what each reserves; None reserves one for each device that the engine spans, where the cluster has any.
    `replicas` None takes what room there is (on CPUs one a node), and looks again every `grow_s`; a number starts so
    many, those without room when there is room. An engine that no job uses ends after `idle_s`; in a cluster that this
    process has started, at once. Raises EngineError with the engine's reason where none can start, SetupError where
    the machine can never have room for one.
    """
    await cluster.join(address)
    most = await asyncio.to_thread(room.most_gpus)
    if gpus is None:
        gpus = float((most > 0) * options.devices)
    if cluster.is_own() and gpus > most:  # one that was joined may get bigger nodes
        raise SetupError(
            f"gpus: one replica needs {gpus:g} GPUs and this machine has {most:g}; lower gpus, or join a cluster: "
            "set TRACEMILL_RAY_ADDRESS"
        )
    maker = HostMaker(options, gpus, 0.0 if cluster.is_own() else idle_s, elastic=replicas is None)
    pool = Pool(health)
    if alone:
        pool.grow()
    growing = None
    try:
        if replicas is None:
            await _grow(pool, maker)
            growing = asyncio.create_task(_keep_growing(pool, maker, grow_s), name=f"room for {maker.engine}")
        else:
            pool.add(maker.host(f"{maker.engine}-0"))
            growing = asyncio.create_task(_start_others(pool, maker, replicas), name=f"others of {maker.engine}")
        await pool.ready()
        yield pool
    finally:
        if growing is not None:
            growing.cancel()
            await asyncio.gather(growing, return_exceptions=True)
        await pool.close()


async def _start_others(pool: Pool, maker: HostMaker, replicas: int) -> None:
    await pool.may_grow.wait()
    for slot in range(1, replicas):
        pool.add(maker.host(f"{maker.engine}-{slot}"))


async def _keep_growing(pool: Pool, maker: HostMaker, grow_s: float) -> None:
    while True:
        if pool.may_grow.is_set():
            await asyncio.sleep(grow_s)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grow_s):
                    await pool.may_grow.wait()
        with contextlib.suppress(Exception):  # the cluster's head does not answer; it is asked again
            await _grow(pool, maker)


async def _grow(pool: Pool, maker: HostMaker) -> None:
    """Join the replicas that others have started. Start one where there is none, and one wherever there is room."""
    for name in await asyncio.to_thread(room.actors_named, f"{maker.engine}-"):
        if name not in _alive(pool):
            pool.add(maker.host(name))
    alive = _alive(pool)
    if not alive:
        pool.add(maker.host(_free_name(pool, maker)))  # it waits for room, which also tells an autoscaler
        return
    if not pool.may_grow.is_set() or not all(host.node_id for host in alive.values()):
        return  # one that never had a place may take what looks free
    taken = {host.node_id for host in alive.values()}
    coming = Counter(host.node_id for host in alive.values() if not host.node)
    for node in await asyncio.to_thread(room.free_nodes, maker.gpus, taken):
        if coming[node]:
            coming[node] -= 1
        else:
            pool.add(maker.host(_free_name(pool, maker), node))


def _alive(pool: Pool) -> dict[str, RayHost]:
    replicas = pool.replicas.items()
    return {name: cast(RayHost, one.host) for name, one in replicas if one.state is not ReplicaState.GONE}


def _free_name(pool: Pool, maker: HostMaker) -> str:
    alive, slot = _alive(pool), 0
    while f"{maker.engine}-{slot}" in alive:
        slot += 1
    return f"{maker.engine}-{slot}"
