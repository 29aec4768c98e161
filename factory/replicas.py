"""One replica of an engine as its pool sees it: its state, what it is asked just now, when it may start again.

Holds no queue and starts nothing: `factory.pool` does.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from tracemill.core.errors import EngineError
from tracemill.core.types import Request
from tracemill.factory.figures import EngineStats, Meter, ReplicaFigures, ReplicaState
from tracemill.factory.hosting import Host


@dataclass(frozen=True, slots=True)
class Health:
    """When a replica counts as hung, and how it is started again."""

    hang_s: float = 300.0
    """An engine that has work and makes no token for so long hangs; so does one that answers no ping."""
    ping_s: float = 1.0
    """Time between two looks at an engine."""
    first_s: float = 1.0
    """Pause before a failed replica is started again; doubled with each further failure, and scattered by a half."""
    most_s: float = 60.0
    give_up: int = 5
    """So many failures in a row, without one request answered, and the replica counts as lost. When no other is left,
    the pool fails."""
    seed: int = 0
    """Seed of the scatter."""

    def pause(self, failures: int, dice: random.Random) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.most_s, self.first_s * 2.0 ** min(max(0, failures - 1), 20)) * (0.5 + dice.random())


@dataclass(eq=False, slots=True)
class Flight:
    """A request on its way through the pool."""

    request: Request
    task: asyncio.Task[object]
    cancelling: int
    """How often its task had been cancelled by others when it came."""
    turn: asyncio.Future[Replica] | None = None
    """What it waits for in the pool."""
    replica: Replica | None = None
    """Where it is aboard."""
    is_lost: bool = False
    """Its replica died, so it was taken off and its task cancelled."""
    failed: int = 0
    """How often an engine failed at it and lived on: one that has answered something else since it failed before."""
    failed_at: float = 0.0
    died: int = 0
    """How many replicas died while they ran it, and their nodes did not."""
    died_alone: int = 0
    """Of these, how many ran nothing else, and had answered something before."""
    company: int = 0
    """How many requests, itself included, it may share a replica with, after a second death."""
    reason: str = ""
    """What the last of them died of."""

    after: asyncio.Event | None = None
    """What it waits for before it is asked again."""

    def fail(self, error: EngineError) -> None:
        """End its wait in the pool."""
        if self.turn is not None and not self.turn.done():
            self.turn.set_exception(error)

    async def pause(self) -> None:
        """Until something else has left the engine that failed at it: one request alone shall not bring it down."""
        if self.after is not None:
            await self.after.wait()
            self.after = None

    def is_free_again(self) -> bool:
        """Take back the cancellation by which it was taken off; false where somebody else cancelled it too."""
        self.is_lost = False
        return self.task.uncancel() <= self.cancelling


@dataclass(eq=False, slots=True)
class Replica:
    """A place for an engine, which may die and be started again there."""

    host: Host
    state: ReplicaState = ReplicaState.STARTING
    aboard: set[Flight] = field(default_factory=set)
    """What it is asked just now."""
    is_reserved: bool = False
    """It takes only suspects (`factory.quarantine`)."""
    is_proven: bool = False
    """It has answered something since it was started."""
    answered_at: float = 0.0
    failures: int = 0
    """Failed starts and deaths in a row, without an answer in between."""
    errors: int = 0
    """Requests in a row at which it failed and did not die."""
    is_hopeless: bool = False
    """Nothing is to be expected of it any more; it is tried again only as long as others work."""
    restarts: int = 0
    reason: str = ""
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    landed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the next request leaves it."""
    life: asyncio.Task[None] | None = None
    _meter: Meter = field(default_factory=Meter)
    prompt_tokens: int = 0
    """What this pool got from this incarnation, for engines that say nothing of themselves; so are the next two."""
    completion_tokens: int = 0
    _busy_s: float = 0.0
    _ready_s: float = 0.0
    _ready_since: float | None = None

    @property
    def slack(self) -> int:
        """Requests beyond those decoded at once, so that the engine never runs dry between two of ours."""
        return max(8, self.host.concurrency // 8)

    @property
    def wanted(self) -> int:
        """Requests that it wants to be asked at once."""
        return self.host.concurrency + self.slack

    @property
    def limit(self) -> int:
        """Requests that it takes at once: as much above `wanted` as lets samples of one prompt stay together."""
        return self.host.concurrency + 2 * self.slack

    @property
    def has_room(self) -> bool:
        """Whether it takes any request; those whose siblings it has, it takes up to `limit`."""
        return self.state is ReplicaState.READY and not self.is_reserved and len(self.aboard) < self.wanted

    def take(self, flight: Flight) -> None:
        """It is asked this too."""
        flight.replica = self
        self.aboard.add(flight)

    def drop(self, flights: set[Flight]) -> set[Flight]:
        """These are asked no more. Whoever waits for that goes on."""
        self.aboard -= flights
        self.landed.set()
        self.landed = asyncio.Event()
        return flights

    def enter(self, state: ReplicaState) -> None:
        """Change the state; the time in READY is what the pool pays for."""
        if self._ready_since is not None:
            self._ready_s += time.monotonic() - self._ready_since
        self._ready_since = time.monotonic() if state is ReplicaState.READY else None
        if state is not ReplicaState.READY:
            self._meter.restart()
            self.prompt_tokens, self.completion_tokens, self._busy_s = 0, 0, 0.0
        self.state = state

    def read(self, stats: EngineStats | None, seconds: float) -> None:
        """What the engine said of itself; without that, what the pool saw in the last `seconds`."""
        if stats is None:
            running = min(len(self.aboard), self.host.concurrency)
            self._busy_s += seconds if self.aboard else 0.0
            tokens = (self.prompt_tokens, self.completion_tokens, 0)
            stats = EngineStats(running, len(self.aboard) - running, *tokens, self._busy_s)
        self._meter.read(stats)

    def figures(self) -> ReplicaFigures:
        """What it is doing."""
        prompt, completion, cached, busy_s = self._meter.totals()
        prompt_rate, completion_rate, busy = self._meter.rates()
        now = 0.0 if self._ready_since is None else time.monotonic() - self._ready_since
        return ReplicaFigures(
            name=self.host.name,
            node=self.host.node,
            state=self.state,
            running=self._meter.last.running,
            waiting=self._meter.last.waiting,
            prompt_tokens=prompt,
            completion_tokens=completion,
            prompt_tokens_per_s=prompt_rate,
            completion_tokens_per_s=completion_rate,
            busy_share=busy,
            cached_share=cached / prompt if prompt else 0.0,
            busy_s=busy_s,
            ready_s=self._ready_s + now,
            restarts=self.restarts,
            gpus=self.host.gpus,
            reason=self.host.waits_for or self.reason,
        )
