"""The line behind the engines, in threads of its own: judge what they made, make it durable, say so to the event loop.

There is no batch: a finished sample is judged at once and written with whatever else is finished. A verdict may wait
for a process for seconds, so several are made at a time; one thread writes, for one fsync serves all that wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from tracemill.core.errors import EngineError
from tracemill.core.types import Completion, Prompt, Request, Trace, Verdict
from tracemill.factory.strategies.strategy import Draw
from tracemill.factory.thinking import ThinkFormat

T = TypeVar("T")
Sample = tuple[Trace, tuple[Verdict, ...]]

MOST = 2000
"""Samples that are written together at most."""


class Recorder(Protocol):
    """Makes samples durable; `corpus.ledger.Ledger` is one."""

    def record(self, samples: list[Sample]) -> None: ...


@dataclass(frozen=True, slots=True)
class Made:
    """What an engine returned for a draw."""

    draw: Draw
    request: Request
    completion: Completion
    model: str
    prompt: Prompt
    thinking: ThinkFormat
    """The format that it was asked in."""


Judge = Callable[[Made], tuple[Sample, EngineError | None]]
"""Makes a trace with its verdicts; and says how the engine of a verifier that asks a model has failed."""


class Line:
    """Open from its making until `close`. The callbacks are called on the event loop that made it."""

    def __init__(
        self,
        judge: Judge,
        recorder: Recorder,
        threads: int,
        on_durable: Callable[[list[tuple[Draw, Sample]]], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._judge = judge
        self._recorder = recorder
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._made: SimpleQueue[Made | None] = SimpleQueue()
        self._judged: SimpleQueue[tuple[Draw, Sample] | None] = SimpleQueue()
        self._judges = [threading.Thread(target=self._judge_all, name=f"judge-{n}") for n in range(threads)]
        self._writer = threading.Thread(target=self._record_all, name="ledger")
        for thread in (*self._judges, self._writer):
            thread.start()

    @property
    def judging(self) -> int:
        """Samples that wait for their verdicts."""
        return self._made.qsize()

    @property
    def recording(self) -> int:
        """Samples that wait to be written."""
        return self._judged.qsize()

    def put(self, made: Made) -> None:
        """Hand over what an engine made."""
        self._made.put(made)

    async def close(self) -> None:
        """Wait until all that was handed over is durable. Cancelled meanwhile, it still ends, in the background."""
        for _ in self._judges:
            self._made.put(None)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._judges:
            thread.join()
        self._judged.put(None)
        self._writer.join()

    def _judge_all(self) -> None:
        while (made := self._made.get()) is not None:
            try:
                sample, failure = self._judge(made)
            except BaseException as error:  # noqa: BLE001 - a defect of ours: the run ends with it
                self._tell(self._on_failure, error)
                continue
            self._judged.put((made.draw, sample))
            if failure is not None:
                self._tell(self._on_failure, failure)

    def _record_all(self) -> None:
        left: list[tuple[Draw, Sample]] = []
        while batch := self._batch():
            left = self._recorded(left + batch)
        if left:
            self._recorded(left)

    def _recorded(self, batch: list[tuple[Draw, Sample]]) -> list[tuple[Draw, Sample]]:
        """Write them. Returns what could not be written: it is tried again, with the next ones and at the end."""
        try:
            self._recorder.record([sample for _, sample in batch])
        except BaseException as error:  # noqa: BLE001 - handed to the run
            self._tell(self._on_failure, error)
            return batch
        self._tell(self._on_durable, batch)
        return []

    def _batch(self) -> list[tuple[Draw, Sample]]:
        """All that is judged, once there is something; empty at the end."""
        batch = []
        with contextlib.suppress(Empty):
            one = self._judged.get()
            while one is not None:
                batch.append(one)
                if len(batch) == MOST:
                    return batch
                one = self._judged.get_nowait()
            if batch:
                self._judged.put(None)  # the end is for the next call
        return batch

    def _tell(self, callback: Callable[[T], None], value: T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, value)
