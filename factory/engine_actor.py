"""What runs in the Ray actor of a replica: one engine, the jobs that use it, and its end when nobody does.

A thread of its own watches the event loop that the engine runs on, so that a loop that is blocked is found from
outside, and ends the process when it is idle, whatever the loop does. Imports ray only to end itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import replace

from tracemill.core.errors import EngineDied, EngineError
from tracemill.core.types import Completion, Request
from tracemill.factory.figures import EngineStats
from tracemill.factory.hosting import EngineOptions, HostedEngine

TICK_S = 0.5
ENDING = "it was ending, because no job used it"
CLIENT_S = 30.0
"""A job that has not asked how the engine does for so long is gone; what it asked for is stopped."""


class EngineActor:
    """Hosts one engine for any number of jobs ("clients")."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._engine: HostedEngine | None = None
        self._started: asyncio.Task[None] | None = None
        self._clients: dict[str, float] = {}
        """When each was last heard of."""
        self._is_ending = False
        self._coming = threading.Lock()
        """Held where a client comes, and where the end is decided: no client comes to an engine that ends."""
        self._asked: dict[str, set[asyncio.Task[object]]] = {}
        self._idle_s = CLIENT_S  # until a client says otherwise
        self._inside = 0
        """Calls that the engine has not answered."""
        self._tokens = (0, 0)
        self._empty_since = self._beat = self._moved = self._looked = time.monotonic()
        """`_moved`: when it made a token, answered, or got a call after it had none. `_looked`: when the attendant last
        did, which does not go on while the whole process, or its machine, stands still."""
        threading.Thread(target=self._attend, name="attendant", daemon=True).start()

    async def where(self, client: str) -> tuple[str, str]:
        """Id and address of its node. Answers while the model is still loading."""
        import ray

        self._hear(client)
        return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address()

    async def start(self, client: str) -> None:
        """Returns when the engine is ready; the first caller starts it. Raises EngineError where it cannot start."""
        self._hear(client)
        self._loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        await asyncio.shield(self._started)
        self._hear(client)

    def _hear(self, client: str) -> None:
        """The client is there. Raises EngineDied where it comes too late, and has to start another engine."""
        with self._coming:
            if self._is_ending:
                raise EngineDied(ENDING)
            self._clients[client] = time.monotonic()

    async def _start(self) -> None:
        engine = self._options.build()
        try:
            await engine.start()
        finally:
            now = time.monotonic()  # loading may have blocked the loop for minutes, and the clients waited
            self._beat = now
            self._clients = dict.fromkeys(self._clients, now)
        self._engine = engine

    async def complete(self, client: str, request: Request) -> Completion:
        """One sample. When the caller cancels it, or is gone, it is stopped in the engine too."""
        task = asyncio.current_task()
        assert task is not None
        if self._engine is None:
            raise EngineError("the engine is not started")
        if self._is_ending:
            raise EngineDied(ENDING)
        asked = self._asked.setdefault(client, set())
        asked.add(task)
        if not self._inside:
            self._moved = time.monotonic()
        self._inside += 1
        try:
            done = await self._engine.complete(request)
            self._moved = time.monotonic()
            return done
        finally:
            self._inside -= 1
            asked.discard(task)

    async def stats(self, client: str) -> EngineStats:
        """What the engine says of itself. Lives on another event loop than the engine, and tells when that is stuck.

        An engine that had no work says nothing of the work that it then hangs at (vLLM's figures change with a step),
        so what it was asked is counted here too.
        """
        self._hear(client)
        stats = EngineStats() if self._engine is None else self._engine.stats()
        now, tokens = time.monotonic(), (stats.prompt_tokens, stats.completion_tokens)
        if tokens != self._tokens:
            self._tokens, self._moved = tokens, now
        idle_s = self._looked - self._moved if self._inside else 0.0
        return replace(stats, stalled_s=max(stats.stalled_s, idle_s, self._looked - self._beat - 2 * TICK_S))

    async def leave(self, client: str, idle_s: float) -> None:
        """The client needs it no more. The engine ends `idle_s` after the last one has left."""
        self._idle_s = idle_s
        self._clients.pop(client, None)
        self._empty_since = time.monotonic()

    def _attend(self) -> None:
        """Runs in its own thread until the process ends."""
        while True:
            time.sleep(TICK_S)
            now = self._looked = time.monotonic()
            if self._started is not None and not self._started.done():
                continue  # loading blocks the loop, and the clients wait
            for client in [client for client, heard in list(self._clients.items()) if now - heard > CLIENT_S]:
                self._clients.pop(client, None)
                self._empty_since = now
            if self._engine is not None:
                self._loop.call_soon_threadsafe(self._beat_once)
                self._loop.call_soon_threadsafe(self._stop_asked)
            with self._coming:
                self._is_ending = not self._clients and now - self._empty_since > self._idle_s
            if self._is_ending:
                self._end()

    def _beat_once(self) -> None:
        self._beat = time.monotonic()

    def _stop_asked(self) -> None:
        """Nobody waits for what clients that are gone have asked for."""
        for client in [one for one in self._asked if one not in self._clients]:
            for task in self._asked.pop(client):
                task.cancel()

    def _end(self) -> None:
        """End the actor, which frees its name and what it reserves."""
        import ray

        try:
            if self._engine is not None:
                self._engine.stop()
            ray.kill(ray.get_runtime_context().current_actor)
            time.sleep(5)
        finally:
            os._exit(0)
