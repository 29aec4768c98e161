"""Where a replica's engine runs, and what an engine has to offer to run somewhere else than where it is asked for."""

from __future__ import annotations

from typing import Protocol

from tracemill.core.types import Completion, Request
from tracemill.factory.figures import EngineStats


class HostedEngine(Protocol):
    """An engine that can be started somewhere else than where it is asked for."""

    async def start(self) -> None:
        """Load the model. Raises EngineError with the reason where it cannot be loaded."""

    async def complete(self, request: Request) -> Completion: ...

    def stats(self) -> EngineStats:
        """Quick, and callable from any thread."""

    def stop(self) -> None:
        """End what it started (processes); callable from any thread."""


class EngineOptions(Protocol):
    """What an engine is started from: a frozen dataclass that can be pickled and written as JSON."""

    @property
    def concurrency(self) -> int:
        """Requests that the engine decodes at once."""

    @property
    def devices(self) -> int:
        """GPUs that one engine spans, where it runs on GPUs."""

    def build(self) -> HostedEngine: ...


class Host(Protocol):
    """Holds the engine of one replica. It can be started again after it has ended."""

    @property
    def name(self) -> str: ...
    @property
    def node(self) -> str:
        """Where it runs; empty until that is known."""

    @property
    def waits_for(self) -> str:
        """What there is no room for just now; empty where it runs or is being started."""

    @property
    def gpus(self) -> float: ...
    @property
    def concurrency(self) -> int: ...

    async def start(self) -> None:
        """Returns when the engine is ready.

        Raises EngineDied where its process dies in between, another EngineError where the engine says that it cannot.
        """

    async def complete(self, request: Request) -> Completion:
        """Raises RefusedRequest, EngineDied where the engine is dead, another EngineError where it failed at this."""

    async def stats(self) -> EngineStats | None:
        """None where the engine has none. Raises EngineError where it is dead."""

    async def end(self) -> None:
        """Kill what is left of a dead or hung engine, so that it can be started again."""

    def is_gone(self) -> bool:
        """Whether it has nowhere to start again: its node has left, or its place there was taken."""

    async def leave(self) -> None:
        """The pool needs it no more; others may."""
