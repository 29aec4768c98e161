"""Replicas in Ray actors, shared by all jobs of a cluster that want the same engine, and the pool over them.

An actor is named by what its engine is started from and a slot number, so a second job finds it. It is detached: it
ends itself when no job has used it for a while (`factory.engine_actor`), and no job that closes takes it from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

from tracemill.core.errors import EngineDied, EngineError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Completion, Request
from tracemill.factory import cluster, room
from tracemill.factory.engine_actor import EngineActor
from tracemill.factory.figures import EngineStats, ReplicaState
from tracemill.factory.hosting import EngineOptions
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health

ENDING_S = 30.0
"""How long a killed actor may take to free its name."""
LEAVING_S = 5.0
CALLS = 10_000
"""Calls that wait inside an actor: those of several jobs, so that the engine itself orders them."""

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
) -> AsyncIterator[Pool]:
    """A pool over Ray actors, with the first of them ready.

    `gpus` is what each reserves; None reserves one for each device that the engine spans, where the cluster has any.
    `replicas` None takes what room there is (on CPUs one a node), and looks again every `grow_s`; a number starts so
    many, those without room when there is room. An engine that no job uses ends after `idle_s`; in a cluster that this
    process has started, at once. Raises EngineError with the engine's reason where none can start.
    """
    cluster.connect(address)
    if gpus is None:
        gpus = float(room.has_gpus() * options.devices)
    maker = HostMaker(options, gpus, 0.0 if cluster.is_own() else idle_s, elastic=replicas is None)
    pool = Pool(health)
    growing = None
    try:
        if replicas is None:
            await _grow(pool, maker)
            growing = asyncio.create_task(_keep_growing(pool, maker, grow_s), name=f"room for {maker.engine}")
        else:
            for slot in range(replicas):
                pool.add(maker.host(f"{maker.engine}-{slot}"))
        await pool.ready()
        yield pool
    finally:
        if growing is not None:
            growing.cancel()
            await asyncio.gather(growing, return_exceptions=True)
        await pool.close()


async def _keep_growing(pool: Pool, maker: HostMaker, grow_s: float) -> None:
    while True:
        await asyncio.sleep(grow_s)
        with contextlib.suppress(EngineError):  # the cluster's head does not answer; it is asked again
            await _grow(pool, maker)


async def _grow(pool: Pool, maker: HostMaker) -> None:
    """Join the replicas that others have started, and start one wherever there is room."""
    for name in await asyncio.to_thread(room.actors_named, f"{maker.engine}-"):
        if name not in _alive(pool):
            pool.add(maker.host(name))
    alive = _alive(pool)
    if any(not host.node for host in alive.values()):
        return  # not placed yet: it may take what looks free
    taken = {host.node_id for host in alive.values()}
    for node in await asyncio.to_thread(room.free_nodes, maker.gpus, taken):
        pool.add(maker.host(_free_name(pool, maker), node))
    if not _alive(pool):
        pool.add(maker.host(_free_name(pool, maker)))  # it waits for room, which also tells an autoscaler


def _alive(pool: Pool) -> dict[str, RayHost]:
    replicas = pool.replicas.items()
    return {name: cast(RayHost, one.host) for name, one in replicas if one.state is not ReplicaState.GONE}


def _free_name(pool: Pool, maker: HostMaker) -> str:
    alive, slot = _alive(pool), 0
    while f"{maker.engine}-{slot}" in alive:
        slot += 1
    return f"{maker.engine}-{slot}"


class HostMaker:
    """What the hosts of one pool have in common."""

    def __init__(self, options: EngineOptions, gpus: float, idle_s: float, elastic: bool) -> None:
        self.options, self.gpus, self.idle_s, self.elastic = options, gpus, idle_s, elastic
        self.client = uuid.uuid4().hex
        described = canonical_json(asdict(cast(Any, options)))
        self.engine = f"engine-{content_id(type(options).__name__, described, str(gpus))[:16]}"

    def host(self, name: str, node_id: str | None = None) -> RayHost:
        """A replica of that name; on that node, where one is named."""
        return RayHost(self, name, node_id)


@dataclass
class RayHost:
    """An engine in a Ray actor."""

    maker: HostMaker
    name: str
    node_id: str | None
    """Where it has to be, or was last."""
    node: str = ""
    _actor: Any = None
    _has_left: bool = False

    @property
    def gpus(self) -> float:
        """What the actor reserves."""
        return self.maker.gpus

    @property
    def concurrency(self) -> int:
        """Requests that its engine decodes at once."""
        return self.maker.options.concurrency

    async def start(self) -> None:
        """Find the actor or start it, and wait until its model is loaded."""
        self.node = ""
        self._actor = await asyncio.to_thread(self._find_or_create)
        self.node_id, address = await _answer(self._call("where"))
        self.node = f"{address} ({self.node_id[:8]})"
        await _answer(self._actor.start.remote(self.maker.client))

    def _find_or_create(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        pinned = self.maker.elastic and self.node_id is not None
        strategy: Any = "DEFAULT" if self.gpus else "SPREAD"
        if pinned:
            strategy = NodeAffinitySchedulingStrategy(self.node_id, soft=False)
        create = ray.remote(
            name=self.name,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=0,
            num_cpus=1,
            num_gpus=self.gpus,
            max_concurrency=CALLS,
            concurrency_groups={"health": 8},
            scheduling_strategy=strategy,
        )(EngineActor)
        try:
            return create.remote(self.maker.options)
        except Exception as error:  # the head is away: ray raises several kinds
            raise EngineDied(f"Ray cannot start an actor: {_first_line(error)}") from error

    def _call(self, method: str, *arguments: object) -> Any:
        """A call that is answered whatever the engine does."""
        remote = getattr(self._actor, method).options(concurrency_group="health")
        return remote.remote(self.maker.client, *arguments)

    async def complete(self, request: Request) -> Completion:
        """One sample. Cancelling it stops it in the engine."""
        import ray
        from ray.exceptions import ActorUnavailableError, TaskCancelledError

        while True:
            reference = self._actor.complete.remote(self.maker.client, request)
            try:
                done: Completion = await _answer(reference)
                return done
            except asyncio.CancelledError:
                ray.cancel(reference)
                raise
            except ActorUnavailableError:
                await self.stats()  # raises EngineDied unless only the connection broke
            except TaskCancelledError:
                continue  # this process did not answer for so long that the engine took it for dead

    async def stats(self) -> EngineStats:
        """What the engine says of itself."""
        from ray.exceptions import ActorUnavailableError

        try:
            found: EngineStats = await _answer(self._call("stats"))
        except ActorUnavailableError as error:
            raise EngineDied(_first_line(error)) from error
        return found

    async def end(self) -> None:
        """Kill the actor, and wait until its name is free."""
        if self._actor is not None:
            await asyncio.to_thread(self._kill)

    def _kill(self) -> None:
        import ray

        deadline = time.monotonic() + ENDING_S
        with contextlib.suppress(Exception):  # the head is away: there is nothing to kill
            ray.kill(self._actor)
            while time.monotonic() < deadline:
                if ray.get_actor(self.name)._actor_id != self._actor._actor_id:
                    break
                time.sleep(0.05)
        self._has_left = self.maker.elastic and not room.is_alive(self.node_id)

    def is_gone(self) -> bool:
        """Whether it was started where there was room, and that node has left."""
        return self._has_left

    async def leave(self) -> None:
        """Tell the actor that this pool needs it no more."""
        if self._actor is not None:
            with contextlib.suppress(TimeoutError, EngineError):
                async with asyncio.timeout(LEAVING_S):
                    await _answer(self._call("leave", self.maker.idle_s))


async def _answer(reference: Awaitable[Any]) -> Any:
    """What the actor returned; Ray's errors become ours, without Ray's remote traceback."""
    import ray.exceptions as failures

    try:
        return await reference
    except (failures.ActorUnavailableError, failures.TaskCancelledError):
        raise
    except failures.RayTaskError as error:
        cause = error.cause
        raise cause if isinstance(cause, EngineError) else EngineError(f"engine failed: {cause!r}") from error
    except failures.RayError as error:
        reason = _reason(error)
        raise EngineDied(reason, with_node="node has died" in reason) from error


_DETAIL = re.compile(r"Worker exit detail: ([^.]*)")


def _reason(error: BaseException) -> str:
    """What of Ray's long message says why."""
    text = " ".join(str(error).split())
    if "its node has died" in text:
        return "its node has died"
    found = _DETAIL.search(text)
    return f"its process died: {found[1]}" if found else _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
