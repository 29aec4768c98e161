"""Ends a block of a task early from outside, without an error: inside, it looks as if the task were cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class Brake:
    """Pulled, it ends the block that runs under it, and every later one at its first wait. Of one event loop."""

    def __init__(self) -> None:
        self.is_pulled = False
        self.has_ended = False
        """Whether a block was ended early."""
        self._scope: asyncio.Timeout | None = None

    def pull(self) -> None:
        """End the block; does nothing the second time."""
        if not self.is_pulled:
            self.is_pulled = True
            if self._scope is not None:
                self._scope.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """What runs under the brake. Whatever cancels the task itself cancels it still, and so is raised."""
        scope = asyncio.timeout(0 if self.is_pulled else None)
        try:
            async with scope:
                self._scope = scope
                try:
                    yield
                finally:
                    self._scope = None
        except TimeoutError:
            if not scope.expired():
                raise
            self.has_ended = True


@dataclass(frozen=True, slots=True)
class Brakes:
    """What a job can be told while it runs."""

    harvest: Brake = field(default_factory=Brake)
    """Make no more samples, and go on with what is there."""
    stop: Brake = field(default_factory=Brake)
    """Do no more; too late once the data set is being selected."""
