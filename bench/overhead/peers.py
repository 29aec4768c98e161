"""What the peers have in common: a process of its own for each, with its model loaded; it is asked a round at a time.

All get the same requests. The prompts are rendered before the clock starts, except by `vllm.LLM.generate`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

from tracemill.core.types import Request

SETTLE_S = 1.0
"""For timers that have run out while it stood still."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one side made of the requests of a round."""

    tokens: int
    """Generated ones."""
    seconds: float
    texts: dict[str, str]
    """By the request's id."""


class Peer(Protocol):
    """Made with its model loaded, or about to be."""

    def run(self, requests: Sequence[Request]) -> Round: ...
    def close(self) -> None: ...


class Child:
    """A peer in a process of its own."""

    def __init__(self, make: Callable[..., Peer], *arguments: object) -> None:
        self._make, self._arguments = make, arguments
        self.pid: int | None = None
        self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    async def start(self) -> None:
        """Raises what the peer raises. Then it is stopped (SIGSTOP): Ray Data takes 15 % of a core when it is idle."""
        loop = asyncio.get_running_loop()
        self.pid = await loop.run_in_executor(self._process, os.getpid)
        await loop.run_in_executor(self._process, _start, self._make, self._arguments)
        self._stop()

    async def run(self, requests: Sequence[Request]) -> Round:
        """One round, between which its processes stand still."""
        self._go_on()
        await asyncio.sleep(SETTLE_S)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._process, _run, requests)
        finally:
            self._stop()

    async def close(self) -> None:
        """End the peer, and what it has started."""
        self._go_on()
        await asyncio.get_running_loop().run_in_executor(self._process, _close)
        self._process.shutdown()

    def _stop(self) -> None:
        for process in self.tree():
            process.suspend()

    def _go_on(self) -> None:
        for process in reversed(self.tree()):
            process.resume()

    def tree(self) -> list[psutil.Process]:
        """Its process, and those that it has started and that live."""
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


_here: list[Peer] = []
"""The peer of this process."""


def _start(make: Callable[..., Peer], arguments: tuple[object, ...]) -> None:
    _here.append(make(*arguments))


def _run(requests: Sequence[Request]) -> Round:
    try:
        return _here[0].run(requests)
    except Exception as error:
        if type(error).__module__.startswith("ray."):  # they cannot be pickled
            raise RuntimeError(str(error)) from None
        raise


def _close() -> None:
    for peer in _here:
        peer.close()


def rendered(tokenizer: Any, request: Request) -> str:
    """The text that the model continues."""
    assert not isinstance(request.prompt, str)
    turns = [{"role": message.role, "content": message.content} for message in request.prompt]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text + request.prefill


def sampling(request: Request) -> dict[str, Any]:
    """vLLM's sampling parameters, by their names."""
    return {
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "top_k": request.sampling.top_k,
        "max_tokens": request.sampling.max_tokens,
        "seed": request.sampling.seed,
        "stop": list(request.stop),
        "include_stop_str_in_output": True,
    }
