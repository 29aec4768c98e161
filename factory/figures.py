"""What a pool and its replicas are doing, as plain values, and the meter that makes rates of running totals."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

WINDOW_S = 10.0
"""Rates are over about so many seconds."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine says of itself. Totals are since it started; for all jobs that use it."""

    running: int = 0
    """Requests that it decodes now."""
    waiting: int = 0
    """Requests in its own queue."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the prefix cache spared it."""
    busy_s: float = 0.0
    """Time in which it had work."""
    stalled_s: float = 0.0
    """Time since its last token while it has work; 0 when it has none."""


class ReplicaState(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    GONE = "gone"
    """Its node left, or its place there was taken; or the pool is closed."""


@dataclass(frozen=True, slots=True)
class ReplicaFigures:
    """One replica. Tokens and busy time are what its engine says, so other jobs that share it are in them."""

    name: str
    node: str
    state: ReplicaState
    running: int
    waiting: int
    prompt_tokens: int
    """In total, all incarnations of the replica together; so is `completion_tokens`."""
    completion_tokens: int
    prompt_tokens_per_s: float
    """Over the last ~10 s; so are `completion_tokens_per_s` and `busy_share`."""
    completion_tokens_per_s: float
    busy_share: float
    """Share of the time in which the engine had work, 0 to 1."""
    cached_share: float
    """Share of all prompt tokens that came from the prefix cache, 0 to 1."""
    busy_s: float
    """Time in which the engine had work, in total."""
    ready_s: float
    """Time in which it was ready for this pool, in total."""
    restarts: int
    gpus: float
    reason: str
    """Why it died or did not start the last time, or what it waits for; empty where there is nothing of that kind."""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """All replicas of a pool, and what waits for them."""

    replicas: tuple[ReplicaFigures, ...]
    queued: int
    """Requests that wait in the pool, for want of a ready replica with room."""
    retried: int
    """How often a request was asked again because its replica died."""
    set_aside: int
    """Requests that were refused because the engine dies of them."""

    @property
    def replica_seconds(self) -> float:
        """Time in which replicas were ready, all together."""
        return sum(one.ready_s for one in self.replicas)

    @property
    def gpu_seconds(self) -> float:
        """The same, times the GPUs of each."""
        return sum(one.ready_s * one.gpus for one in self.replicas)


@dataclass(slots=True)
class Meter:
    """Totals over the incarnations of an engine, each of which counts from 0, and rates over the last seconds."""

    last: EngineStats = EngineStats()
    _before: tuple[int, int, int, float] = (0, 0, 0, 0.0)
    """Prompt, completion and cached tokens and busy seconds of the incarnations before."""
    _past: deque[tuple[float, int, int, float]] = field(default_factory=lambda: deque(maxlen=12))
    """Time with the totals of prompt tokens, completion tokens and busy seconds then."""

    def read(self, stats: EngineStats) -> None:
        """Take in what the engine says now; called about once a second."""
        self.last = stats
        prompt, completion, _, busy = self.totals()
        self._past.append((time.monotonic(), prompt, completion, busy))

    def restart(self) -> None:
        """The engine died: the next one counts from 0."""
        self._before = self.totals()
        self.last = EngineStats()
        self._past.clear()

    def totals(self) -> tuple[int, int, int, float]:
        """Prompt, completion and cached tokens, busy seconds."""
        one, before = self.last, self._before
        return (
            before[0] + one.prompt_tokens,
            before[1] + one.completion_tokens,
            before[2] + one.cached_tokens,
            before[3] + one.busy_s,
        )

    def rates(self) -> tuple[float, float, float]:
        """Prompt tokens a second, completion tokens a second, busy share; 0 until there are two readings."""
        recent = [one for one in self._past if one[0] >= time.monotonic() - WINDOW_S - 2]
        if len(recent) < 2:
            return 0.0, 0.0, 0.0
        first, last = recent[0], recent[-1]
        seconds = max(1e-6, last[0] - first[0])
        prompt, completion, busy = ((last[k] - first[k]) / seconds for k in (1, 2, 3))
        return prompt, completion, min(1.0, busy)
