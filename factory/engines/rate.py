"""Rate limits kept on our side: so many requests and tokens a minute, paced evenly. Knows nothing of HTTP.

Tokens are reserved before a request is sent and corrected by the usage that comes back, as Curator does
(bespokelabsai/curator, base_online_request_processor.py): the prompt's estimate plus the mean of the last completions.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

BURST_S = 1.0
"""So many seconds' worth may go at once. Hosted APIs enforce "60 a minute" as 1 a second."""
LAST = 50
"""Completions whose mean length is the estimate of the next."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, and waiting for it; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Bucket:
    """A token bucket. What does not fit into it at all passes when it is full, and leaves a debt."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s * BURST_S)
        self._level = self._most
        self._clock = clock
        self._at = clock.now()

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` may be taken."""
        now = self._clock.now()
        self._level = min(self._most, self._level + (now - self._at) * self._per_s)
        self._at = now
        return max(0.0, (min(amount, self._most) - self._level) / self._per_s)

    def take(self, amount: float) -> None:
        """Take it, into debt where need be; a negative amount gives back."""
        self._level -= amount


@dataclass
class Pace:
    """The limits of one server: requests a minute, tokens a minute, and a pause that the server asked for."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self._requests = Bucket(self.requests_per_minute, self.clock) if self.requests_per_minute else None
        self._tokens = Bucket(self.tokens_per_minute, self.clock) if self.tokens_per_minute else None
        self._paused_until = 0.0
        self._turn = asyncio.Lock()  # first come, first served: a long request is not overtaken for ever
        self._lengths: deque[int] = deque(maxlen=LAST)

    def estimate(self, prompt_tokens: int, max_tokens: int) -> int:
        """Tokens that a request is likely to use; the worst case until the first completion is in."""
        mean = sum(self._lengths) // len(self._lengths) if self._lengths else max_tokens
        return prompt_tokens + min(max_tokens, mean)

    async def take(self, tokens: int) -> None:
        """Wait until one more request of so many tokens may be sent, and count it."""
        async with self._turn:
            while (wait := self._wait_s(tokens)) > 0:
                await self.clock.sleep(wait)
            if self._requests is not None:
                self._requests.take(1)
            if self._tokens is not None:
                self._tokens.take(tokens)

    def correct(self, estimated: int, used: int, completion_tokens: int | None) -> None:
        """Count what a request really used: 0 where it failed, and then there is no completion."""
        if self._tokens is not None:
            self._tokens.take(used - estimated)
        if completion_tokens is not None:
            self._lengths.append(completion_tokens)

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the server said that it is too much, and a retry by others would be too."""
        self._paused_until = max(self._paused_until, self.clock.now() + seconds)

    def _wait_s(self, tokens: int) -> float:
        waits = [self._paused_until - self.clock.now()]
        if self._requests is not None:
            waits.append(self._requests.wait_s(1))
        if self._tokens is not None:
            waits.append(self._tokens.wait_s(tokens))
        wait = max(waits)
        return wait + 1e-6 if wait > 1e-9 else 0.0  # a rest of rounding is no wait
