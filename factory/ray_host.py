"""The Ray actor of one replica, seen from the pool: found or started by its name, asked, killed, left.

An actor is named by what its engine is started from and a slot number, so a second job finds it. It is detached: it
ends itself when no job has used it for a while (`factory.engine_actor`), and no job that closes takes it from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import Any, cast

from tracemill.core.errors import EngineDied, EngineError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Completion, Request
from tracemill.factory import room
from tracemill.factory.engine_actor import EngineActor
from tracemill.factory.figures import EngineStats
from tracemill.factory.hosting import EngineOptions

ENDING_S = 30.0
"""How long a killed actor may take to free its name."""
LEAVING_S = 5.0
PLACED_S = 60.0
"""An actor without a node after so long has no room: its process starts in 2 s, or in 10 s on a loaded machine, and
one that is given up too early has to start all over again."""
CALLS = 10_000
"""Calls that wait inside an actor: those of several jobs, so that the engine itself orders them."""


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
    waits_for: str = ""
    _actor: Any = None
    _creating: asyncio.Future[Any] | None = None
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
        # Shielded: an actor that is created after this was cancelled has to be known to `leave`.
        self._creating = asyncio.ensure_future(asyncio.to_thread(self._find_or_create))
        self._actor = await asyncio.shield(self._creating)
        self.node_id, address = await self._placed()
        self.node = f"{address} ({self.node_id[:8]})"
        await _answer(self._actor.start.remote(self.maker.client))

    async def _placed(self) -> tuple[str, str]:
        """Id and address of its node. Raises EngineDied where it has to be on one that has no room any more."""
        where = asyncio.ensure_future(_answer(self._call("where")))
        try:
            await asyncio.wait([where], timeout=PLACED_S)
            if not where.done() and self._is_pinned:
                self._has_left = True
                raise EngineDied("its place on its node was taken")
            if not where.done():
                self.waits_for = f"waits for room: needs {f'{self.gpus:g} GPUs' if self.gpus else 'a CPU'}"
            found: tuple[str, str] = await where
            return found
        finally:
            where.cancel()
            self.waits_for = ""

    @property
    def _is_pinned(self) -> bool:
        """Whether it has to be where it was: there is a replica for each node with room, so others are on others."""
        return self.maker.elastic and self.node_id is not None

    def _find_or_create(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy: Any = "DEFAULT" if self.gpus else "SPREAD"
        if self._is_pinned:
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
        with contextlib.suppress(Exception):  # nobody knows: then the node is still there
            self._has_left |= self._is_pinned and not room.is_alive(self.node_id)

    def is_gone(self) -> bool:
        """Whether it was started where there was room, and that node has left or has none any more."""
        return self._has_left

    async def leave(self) -> None:
        """Tell the actor that this pool needs it no more."""
        if self._creating is None:
            return
        with contextlib.suppress(TimeoutError, EngineError):
            async with asyncio.timeout(LEAVING_S):
                self._actor = await asyncio.shield(self._creating)
                await _answer(self._call("leave", self.maker.idle_s))
                return
        if not self.node:  # it waits for room, and cannot end itself; another pool that waits for it starts it again
            await self.end()


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
