"""The pool: one `core.types.Engine` over several replicas, of which each may die, hang and come back.

A request goes to the least loaded replica, or waits here. What a dead replica had not finished goes to others at once.
A request that kills engines is set aside with its reason (`factory.quarantine`). Knows nothing of Ray: see `Host`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest, SetAside
from tracemill.core.types import Completion, Request
from tracemill.factory.figures import PoolFigures, ReplicaState
from tracemill.factory.homes import Homes
from tracemill.factory.hosting import Host
from tracemill.factory.lives import live
from tracemill.factory.quarantine import TRIES, Quarantine, blame, is_suspect, verdict
from tracemill.factory.replicas import Flight, Health, Replica


class Pool:
    """Opened by `factory.local.local_pool` or `factory.actors.open_pool`; lives on one event loop."""

    def __init__(self, health: Health) -> None:
        self.health = health
        self.replicas: dict[str, Replica] = {}
        """By the name of their host; those that are gone stay, so that what they used stays counted."""
        self._open: list[Replica] = []
        """The ready ones that take any request."""
        self._queue: deque[Flight] = deque()
        self._quarantine = Quarantine()
        self._homes = Homes()
        self._killers: dict[str, str] = {}
        """Prompts that engines die of, with the reason. Each costs several deaths, so they are few."""
        self._wanted = self._retried = self._set_aside = 0
        self.last: Request | None = None
        """The latest request: what a replica that comes back is asked is like it."""
        self.has_died = self.has_worked = False
        """Whether any replica ever died, or was ever ready."""
        self.failure: EngineError | None = None
        """Why nothing more is to be had of it; `changed` returns when it is set."""
        self.may_grow = asyncio.Event()
        self._change = asyncio.Event()

    @property
    def wanted(self) -> int:
        """How many requests it wants to have at hand now: what its ready replicas decode at once, and a slack."""
        return self._wanted

    def grow(self) -> None:
        """Start more than the first replica. To be called once all pools of a job are ready, which need room too."""
        self.may_grow.set()

    async def changed(self, wanted: int) -> None:
        """Returns as soon as `wanted` is another than this, or the pool has failed."""
        while self._wanted == wanted and self.failure is None:
            await self._change.wait()

    def figures(self) -> PoolFigures:
        """What it is doing now. Cheap; waits for nothing."""
        replicas = tuple(one.figures() for one in self.replicas.values())
        queued = len(self._queue) + len(self._quarantine.waiting)
        return PoolFigures(replicas, queued, self._retried, self._set_aside)

    async def complete(self, request: Request) -> Completion:
        """One sample, from whichever replica.

        Raises RefusedRequest for a request that an engine refuses, SetAside for one that engines die of or fail at,
        EngineError where no replica works or it is closed. Cancelling it stops the request in its engine.
        """
        task = asyncio.current_task()
        assert task is not None
        flight = Flight(request, task, task.cancelling())
        self.last = request
        while True:
            try:
                replica = self._seat(flight) or await self._turn(flight)
                done = await replica.host.complete(request)
            except RefusedRequest:
                self._land(flight, has_answer=True)
                raise
            except EngineError as error:
                if flight.replica is not None:
                    self._failed(flight, flight.replica, error)
                elif not flight.is_lost:
                    raise  # the pool has failed
                elif not flight.is_free_again():
                    raise asyncio.CancelledError from None
            except BaseException as error:
                is_ours = flight.is_lost and flight.is_free_again()
                if not (is_ours and isinstance(error, asyncio.CancelledError)):
                    self._land(flight, has_answer=False)
                    raise
            else:
                if flight.is_lost:
                    flight.is_free_again()
                self._land(flight, has_answer=True)
                replica.prompt_tokens += done.prompt_tokens
                replica.completion_tokens += done.completion_tokens
                return done
            self._retried += 1
            self._judge(flight)
            await flight.pause()

    def _seat(self, flight: Flight) -> Replica | None:
        """Take it aboard the least loaded replica, or that of its siblings; None where it has to wait."""
        if self.failure is not None:
            raise EngineError(str(self.failure))
        prompt = flight.request.prompt_id
        if prompt in self._killers:
            self._set_aside += 1
            raise SetAside(self._killers[prompt])
        if is_suspect(flight) or not self._open:
            return None
        found = min(self._open, key=lambda one: len(one.aboard)) if len(self._open) > 1 else self._open[0]
        if not found.has_room:
            return None
        if prompt and len(self.replicas) > 1:
            found = self._homes.of(prompt, found, self._open)
        found.take(flight)
        return found

    async def _turn(self, flight: Flight) -> Replica:
        """Wait until a replica has room. Whoever gives the turn takes it aboard."""
        flight.turn = asyncio.get_running_loop().create_future()
        if is_suspect(flight):
            self._quarantine.add(flight)
            self._isolate()
        elif flight.died:
            self._queue.appendleft(flight)  # it has waited before
        else:
            self._queue.append(flight)
        return await flight.turn

    def _land(self, flight: Flight, has_answer: bool) -> None:
        """It is done, or nobody wants it any more: its place is free."""
        replica, flight.replica = flight.replica, None
        if replica is None:
            if flight in self._queue:
                self._queue.remove(flight)
            if flight in self._quarantine.waiting:
                self._quarantine.waiting.remove(flight)
            return
        replica.drop({flight})
        if has_answer:
            replica.is_proven, replica.failures, replica.errors = True, 0, 0
            replica.answered_at = time.monotonic()
        if replica.is_reserved:
            self._isolate()
        elif self._queue:
            self._fill(replica)

    def _fill(self, replica: Replica) -> None:
        while self._queue and replica.has_room:
            self._give_turn(self._queue.popleft(), replica)

    def _give_turn(self, flight: Flight, replica: Replica) -> None:
        assert flight.turn is not None
        if not flight.turn.done():
            replica.take(flight)
            flight.turn.set_result(replica)

    def _isolate(self) -> None:
        """Give suspects a replica of their own: the least loaded, once it has nothing else to do."""
        ward, waiting = self._quarantine.ward, self._quarantine.waiting
        if ward is None and waiting and self._open:
            ward = self._quarantine.ward = min(self._open, key=lambda one: len(one.aboard))
            ward.is_reserved = True
            self._update()
        if ward is None or ward.aboard:
            return
        while waiting and not ward.aboard:  # all of a group may have been cancelled
            for flight in self._quarantine.group():
                self._give_turn(flight, ward)
        if not ward.aboard:
            self._dissolve(ward)
            self._fill(ward)

    def _dissolve(self, ward: Replica) -> None:
        """It is a replica like others again."""
        ward.is_reserved, self._quarantine.ward = False, None
        self._update()

    def _failed(self, flight: Flight, replica: Replica, error: EngineError) -> None:
        """The engine failed at this request: it is dead if it says so, or if it fails at most of what it has."""
        replica.errors += 1
        if isinstance(error, EngineDied) or replica.errors >= max(TRIES, len(replica.aboard) // 2):
            self.died(replica, error, flight)
        else:
            if not flight.failed or replica.answered_at > flight.failed_at:
                flight.failed += 1
            flight.failed_at, flight.reason = time.monotonic(), str(error)
            self._land(flight, has_answer=False)
            flight.after = replica.landed if replica.aboard else None

    def _judge(self, flight: Flight) -> None:
        """Raises SetAside for what engines fail at or die of; siblings under suspicion go with the latter."""
        reason = verdict(flight)
        if reason is None:
            return
        self._set_aside += 1
        prompt = flight.request.prompt_id
        if prompt and flight.died_alone:
            self._killers[prompt] = reason
            for sibling in self._quarantine.of_prompt(prompt):
                self._set_aside += 1
                sibling.fail(SetAside(reason))
        raise SetAside(reason)

    def died(self, replica: Replica, error: EngineError, by: Flight | None = None) -> None:
        """Take everything off a dead replica; `by` is the request that brought the news."""
        lost = replica.drop({*replica.aboard})
        with_node = isinstance(error, EngineDied) and error.with_node
        for flight in lost:
            flight.replica = None
            if isinstance(error, EngineDied) and not with_node:
                blame(flight, len(lost), replica.is_proven, str(error))
            if flight is not by:
                flight.is_lost = True
                flight.task.cancel()
        if replica.state is not ReplicaState.READY:
            return
        self.has_died = True
        if not replica.is_proven and not with_node:
            replica.failures += 1
        replica.is_hopeless = replica.failures >= self.health.give_up
        replica.reason = str(error)
        self.enter(replica, ReplicaState.RESTARTING)
        if replica.is_reserved:
            self._dissolve(replica)
            self._isolate()
        replica.dead.set()

    def add(self, host: Host) -> Replica:
        """One more replica, which is started and kept alive from now on. One of that name that is gone comes back."""
        replica = self.replicas.setdefault(host.name, Replica(host))
        replica.host, replica.failures, replica.is_hopeless = host, 0, False
        self.enter(replica, ReplicaState.STARTING)
        replica.life = asyncio.create_task(live(self, replica), name=f"replica {host.name}")
        return replica

    def opened(self, replica: Replica, is_proven: bool) -> None:
        """It is ready; `is_proven` says that it has answered something."""
        replica.is_proven, replica.is_hopeless, replica.errors, self.has_worked = is_proven, False, 0, True
        if is_proven:
            replica.failures, replica.answered_at = 0, time.monotonic()
        replica.dead.clear()
        self.enter(replica, ReplicaState.READY)
        self._isolate()
        self._fill(replica)

    def give_up(self) -> None:
        """Fail where no replica is left of which anything is to be expected."""
        alive = [one for one in self.replicas.values() if one.state is not ReplicaState.GONE]
        if self.failure is None and alive and all(one.is_hopeless for one in alive):
            self.fail(EngineError(next(one.reason for one in alive)))

    def fail(self, error: EngineError) -> None:
        """Nothing more is to be had of it: whoever waits hears why, and so do all who come. The first reason stands."""
        self.failure = self.failure or error
        waiting = [*self._queue, *self._quarantine.waiting]
        self._queue.clear()
        self._quarantine.waiting.clear()
        for flight in waiting:
            flight.fail(EngineError(str(self.failure)))
        for replica in self.replicas.values():
            replica.drop(set())
        self._update()

    def enter(self, replica: Replica, state: ReplicaState) -> None:
        """Change a replica's state."""
        replica.enter(state)
        self._update()

    def _update(self) -> None:
        """What follows from the states of the replicas."""
        ready = [one for one in self.replicas.values() if one.state is ReplicaState.READY]
        self._open = [one for one in ready if not one.is_reserved]
        self._wanted = sum(one.wanted for one in ready)
        self._change.set()
        self._change = asyncio.Event()

    async def ready(self) -> None:
        """Returns when the first replica is ready. Raises EngineError where none can be started."""
        await self.changed(0)
        if self.failure is not None:
            raise EngineError(str(self.failure))

    async def close(self) -> None:
        """End the lives of its replicas; what other pools use stays. Who waits here fails, and who comes later."""
        self.fail(EngineError("the pool is closed"))
        lives = [one.life for one in self.replicas.values() if one.life is not None]
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await asyncio.gather(*(one.host.leave() for one in self.replicas.values()), return_exceptions=True)
        for one in self.replicas.values():
            self.enter(one, ReplicaState.GONE)
