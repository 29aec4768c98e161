"""An engine without a model: for tests, and for trying a recipe in seconds (`engine: fake`).

Deterministic: what it answers depends on the request alone. It can be slow and it can die.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field

from tracemill.core.errors import EngineError
from tracemill.core.ids import content_id
from tracemill.core.types import Completion, Request
from tracemill.factory.figures import EngineStats
from tracemill.factory.thinking import BOXED_INSTRUCTION

_SUM = re.compile(r"-?\d+(?:\s*[+*-]\s*\d+)+")


def last_question(request: Request) -> str:
    """The text of the question that the request asks, without the worked examples."""
    return request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content


def arithmetic(request: Request) -> str:
    """Works out the last sum in the question, as a weak model would: 6 in 10 right, 2 wrong, 2 malformed."""
    dice = int(content_id("fake", request.id.partition(".")[0])[:8], 16) % 10  # a continuation is of the same sample
    opening = "" if request.prefill else "<think>\n"
    found = _SUM.findall(last_question(request))
    if not found or dice == 0:
        return f"{opening}I do not know how to do this."
    terms = re.findall(r"[+*-]?\s*\d+", found[-1])
    value = 0
    for term in terms:
        sign, digits = re.match(r"([+*-]?)\s*(\d+)", term).groups()  # type: ignore[union-attr]
        value = value * int(digits) if sign == "*" else value + int(f"{sign or '+'}{digits}")
    shown = value + (dice in (2, 3))
    chain = f"{opening}The question asks for {found[-1].strip()}. I work from left to right and get {shown}."
    answer = _answer(request, str(shown), is_malformed=dice == 1)
    if "</think>" not in request.prefill:
        return chain + answer
    answer = answer.removeprefix("\n</think>")
    return answer.removeprefix("\n<answer>") if request.prefill.endswith("<answer>") else answer


def _answer(request: Request, shown: str, is_malformed: bool) -> str:
    """The end of the reasoning and the answer, marked as the think format of the request asks."""
    if "</answer>" in request.stop:  # r1, r1_zero
        return f"\n</think>\n<answer>\n{shown}" + ("" if is_malformed else "\n</answer>")
    if BOXED_INSTRUCTION in last_question(request):
        return "\n</think>\n" + (shown if is_malformed else f"\\boxed{{{shown}}}")
    return "" if is_malformed else f"\n</think>\n{shown}"


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """A fake engine that can be hosted in a process of its own, with what can go wrong there."""

    concurrency: int = 16
    seconds: float = 0.0
    """Time that each request takes, the same for the same request: from half to one and a half of this."""
    start_seconds: float = 0.0
    broken: str = ""
    """Why it cannot start."""
    poison: str = ""
    """A request whose question has this text kills the process."""
    hangs_after: int | None = None
    """Number of completions after which it answers nothing any more."""
    label: str = ""
    """Engines of other labels are others."""
    log: str = ""
    """File to which the id of each request that is answered is added, with the time (Unix seconds)."""

    @property
    def devices(self) -> int:
        """It needs none."""
        return 1

    def build(self) -> FakeEngine:
        """The engine, not yet started."""
        return FakeEngine(seconds=self.seconds, completed=deque(maxlen=0), options=self)


@dataclass
class FakeEngine:
    """Answers each request with `script(request)`, which continues the prefill."""

    script: Callable[[Request], str] = arithmetic
    seconds: float = 0.0
    """Time that each request takes."""
    dies_after: int | None = None
    """Number of completions after which the engine is dead: every later request raises EngineError."""
    completed: MutableSequence[str] = field(default_factory=list)
    """Ids of the requests that were answered, in order."""
    options: FakeOptions | None = None
    """Set where it is hosted: then it decodes `concurrency` at once, and what is to go wrong there does."""
    _answered: int = 0
    _tokens: int = 0
    _prompt_tokens: int = 0
    _inside: int = 0
    _busy_s: float = 0.0
    _looked: float = 0.0
    _moved: float = 0.0
    """When it last made a token or got work after it had none."""

    async def start(self) -> None:
        """Raises EngineError where it is broken."""
        if self.options is not None:
            self._places = asyncio.Semaphore(self.options.concurrency)
            await asyncio.sleep(self.options.start_seconds)
            if self.options.broken:
                raise EngineError(f"the fake engine cannot start: {self.options.broken}")

    def stop(self) -> None:
        """It started nothing."""

    def stats(self) -> EngineStats:
        """Its own figures."""
        most = self._inside if self.options is None else self.options.concurrency
        now = time.monotonic()
        return EngineStats(
            running=min(self._inside, most),
            waiting=max(0, self._inside - most),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens,
            busy_s=self._busy_s + (now - self._looked if self._inside else 0.0),
            stalled_s=now - self._moved if self._inside else 0.0,
        )

    async def complete(self, request: Request) -> Completion:
        """One sample. Raises EngineError when it is dead."""
        self._move(+1)
        try:
            if self.options is None:
                await asyncio.sleep(self.seconds)
            else:
                async with self._places:
                    await self._suffer(self.options, request)
            return self._answer(request)
        finally:
            self._move(-1)

    def _move(self, change: int) -> None:
        now = time.monotonic()
        if self._inside:
            self._busy_s += now - self._looked
        self._looked = now
        if change < 0 or not self._inside:
            self._moved = now
        self._inside += change

    async def _suffer(self, options: FakeOptions, request: Request) -> None:
        """Take the time of the request, and what it brings."""
        if options.hangs_after is not None and self._answered >= options.hangs_after:
            await asyncio.Event().wait()
        share = int(content_id("seconds", request.id)[:8], 16) / 2**32
        await asyncio.sleep(options.seconds * (0.5 + share))
        if options.poison and options.poison in last_question(request):
            os.kill(os.getpid(), signal.SIGKILL)

    def _answer(self, request: Request) -> Completion:
        if self.dies_after is not None and self._answered >= self.dies_after:
            raise EngineError(f"the fake engine died after {self.dies_after} completions")
        text = self.script(request)
        ends = [text.index(stop) + len(stop) for stop in request.stop if stop in text]
        text = text[: min(ends, default=len(text))]
        words = text.split()
        self.completed.append(request.id)
        if self.options is not None and self.options.log:
            with open(self.options.log, "ab", buffering=0) as log:  # one write a line: many processes share the file
                log.write(f"{request.id} {time.time():.3f}\n".encode())
        cut = len(words) > request.sampling.max_tokens
        done = Completion(
            request_id=request.id,
            text=" ".join(words[: request.sampling.max_tokens]) if cut else text,
            prompt_tokens=len(last_question(request).split()),
            completion_tokens=min(len(words), request.sampling.max_tokens),
            finish_reason="length" if cut else "stop",
        )
        self._answered += 1
        self._tokens += done.completion_tokens
        self._prompt_tokens += done.prompt_tokens
        return done
