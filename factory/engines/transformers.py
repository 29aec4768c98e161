"""A small model in this process, on transformers' `generate`: no Ray, no vLLM, started as soon as it is loaded.

For models of some million parameters: toy recipes, evaluating a model again and again while it is trained, machines
without vLLM. A Llama of 330,000 parameters makes 12,000 to 17,000 tokens/s on two cores; SmolLM2-135M starts in 4 s
where vLLM takes 17, and makes 0.43 of its tokens/s (64 prompts of 64 tokens each, two runs beside vLLM 0.32).

All samples of a batch wait for its longest one, and prompts with the same beginning share nothing; for larger models
use vLLM. Writes no JSON to a schema, and takes one GPU or the CPU.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest, SetupError
from tracemill.core.types import Completion, Request
from tracemill.factory.engines.rendering import encoded, opened, rendered
from tracemill.factory.figures import EngineStats

if TYPE_CHECKING:
    from tracemill.factory.engines.batches import Model, Row

GATHER_S = 0.01
"""A batch that is not full waits for more as long as some came in the last 10 ms: those who ask come one by one, and a
request that went alone would hold up all others."""


@dataclass(frozen=True, slots=True)
class TransformersOptions:
    """How a model is loaded and asked."""

    model: str
    """A folder in the transformers format, or a name that transformers finds."""
    concurrency: int = 64
    """Sequences in a batch."""
    reproducible: bool = False
    """It takes requests with a seed of their own, and no others. Each is generated alone, because the size of a batch
    rounds differently: slow. Otherwise the engine draws a seed at each start."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; `auto`: the one that they are stored in."""


@dataclass(eq=False, slots=True)
class _Asked:
    """A request with its sample in the making."""

    row: Row
    done: asyncio.Future[None]

    def fail(self, error: EngineError) -> None:
        """Nothing comes of it."""
        if not self.done.done():
            self.done.set_exception(error)


class TransformersEngine:
    """Completes requests on one model in this process, once started. Lives on one event loop."""

    def __init__(self, options: TransformersOptions) -> None:
        self._options = options
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        self._model: Model | None = None
        self._serving: asyncio.Task[None] | None = None
        self._waiting: list[_Asked] = []
        self._batch: list[_Asked] = []
        self._arrived = asyncio.Event()
        self._prompt_tokens = self._completion_tokens = 0
        self._busy_s = 0.0
        self._since = self._moved = 0.0

    async def start(self) -> None:
        """Load the model. Raises EngineError where it cannot be loaded, SetupError where transformers is missing."""
        try:
            from tracemill.factory.engines.batches import load
        except ImportError as error:
            raise SetupError(f"{error.name} is not installed: pip install 'tracemill[train]'") from error
        options, loop = self._options, asyncio.get_running_loop()
        seed = secrets.randbits(63)
        self._model = await loop.run_in_executor(self._thread, load, options.model, options.dtype, seed)
        self._serving = asyncio.create_task(self._serve(self._model), name=f"transformers {options.model}")

    async def close(self) -> None:
        """Give the model's memory back. What is being made ends with its next token."""
        for asked in (*self._waiting, *self._batch):
            asked.row.is_dropped = True
            asked.fail(EngineDied("the engine is closed"))
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)
        self._model = self._serving = None  # the task's traceback holds the model too
        gc.collect()

    def stats(self) -> EngineStats:
        """Its own figures."""
        now = time.monotonic()
        running = sum(not asked.row.is_done for asked in self._batch)
        return EngineStats(
            running=running,
            waiting=len(self._waiting),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            busy_s=self._busy_s + (now - self._since if self._batch else 0.0),
            stalled_s=now - self._moved if self._batch else 0.0,
        )

    async def complete(self, request: Request) -> Completion:
        """One sample. Raises RefusedRequest for a request that can never work, EngineDied once it is closed.

        Log probabilities are those of the model's own distribution, before temperature, top_p and top_k.
        """
        if self._model is None or self._serving is None or self._serving.done():
            raise EngineDied("the engine is closed")
        text = rendered(request, self._model.tokenizer)
        asked = self._asked(request, text, self._model)
        self._waiting.append(asked)
        self._arrived.set()
        try:
            await asked.done
        finally:
            asked.row.is_dropped = True  # of no effect where it is finished
            if asked in self._waiting:
                self._waiting.remove(asked)
        row, control = asked.row, self._model.control
        return Completion(
            request_id=request.id,
            text=opened(request, text) + (row.text if control is None else control.sub("", row.text)),
            prompt_tokens=len(row.tokens),
            completion_tokens=row.made,
            finish_reason=row.finish_reason,
            logprobs=tuple(row.logprobs) if request.logprobs else None,
        )

    def _asked(self, request: Request, text: str, model: Model) -> _Asked:
        """The request as a row of a batch. Raises RefusedRequest."""
        from tracemill.factory.engines.batches import Row

        if request.json_schema is not None:
            raise RefusedRequest("engine transformers writes no JSON to a schema; use engine: vllm")
        if (request.sampling.seed is not None) != self._options.reproducible:
            raise RefusedRequest("seeded and unseeded requests must not share an engine: set `reproducible`")
        tokens = encoded(request, text, model.tokenizer)
        if not tokens:
            raise RefusedRequest("the prompt is empty")
        room = request.sampling.max_tokens
        if model.context is not None:
            if len(tokens) >= model.context:
                raise RefusedRequest(
                    f"the prompt has {len(tokens)} tokens, which leaves none of the model's maximum of {model.context}"
                )
            room = min(room, model.context - len(tokens))
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        told = partial(loop.call_soon_threadsafe, _finish, done)
        return _Asked(Row(tokens, request.sampling, request.stop, room, request.logprobs, told), done)

    async def _serve(self, model: Model) -> None:
        """Make one batch after the other, for as long as the engine is open."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._gather()
            self._batch = self._next()
            if not self._batch:
                continue
            self._since = self._moved = time.monotonic()
            rows = [asked.row for asked in self._batch]
            try:
                self._prompt_tokens += sum(len(row.tokens) for row in rows)
                await loop.run_in_executor(self._thread, model.generate, rows, self._made)
            except Exception as error:  # noqa: BLE001 - torch raises anything, and those who wait must hear of it
                failure = EngineError(f"transformers failed at a batch of {len(rows)}: {_one_line(error)}")
                for asked in self._batch:
                    asked.fail(failure)
            self._busy_s += time.monotonic() - self._since
            self._batch = []

    def _made(self, tokens: int) -> None:
        """After each step, in the thread that generates."""
        self._completion_tokens += tokens
        self._moved = time.monotonic()

    async def _gather(self) -> None:
        """Until a batch is full, or nobody comes any more."""
        seen = 0
        while seen < len(self._waiting) < self._options.concurrency and not self._options.reproducible:
            seen = len(self._waiting)
            await asyncio.sleep(GATHER_S)

    def _next(self) -> list[_Asked]:
        """The longest waiting request with all that can go with it, in the order they came."""
        if not self._waiting:
            return []
        kind = self._waiting[0].row.sampling
        found = [asked for asked in self._waiting if asked.row.sampling == kind]
        batch = found[: 1 if self._options.reproducible else self._options.concurrency]
        taken = set(batch)
        self._waiting = [asked for asked in self._waiting if asked not in taken]
        return batch


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
