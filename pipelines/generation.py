"""The loop that keeps the engines busy: draw, ask, and hand over to the line that judges and makes durable.

A sample counts when the ledger has it on disk. There is no batch barrier: a finished sample is judged while others
still think, and what a strategy draws next needs no other prompt to be finished. Stopping or failing keeps every sample
that an engine has finished.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.types import Outcome, Trace, Verdict
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.pipelines.draws import Draws
from tracemill.pipelines.durable import Durable
from tracemill.pipelines.engines import Maker, pick
from tracemill.pipelines.line import Line, Made, Sample
from tracemill.pipelines.pace import Pace
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress, Queues
from tracemill.pipelines.rejudging import verdicts_of
from tracemill.pipelines.requests import request_of
from tracemill.pipelines.strategies import strategy_of
from tracemill.verifiers.judge import Judge
from tracemill.verifiers.judging import THREADS

LOOK_S = 1.0
"""Longest time between two looks at whether the engines want more: replicas come and go."""
HELD = 10_000
"""Draws that wait for an engine of a mix that has no room, before the others wait with it."""


class Ledger(Protocol):
    """Makes samples durable and knows those of earlier runs; `corpus.ledger.Ledger` is one."""

    def outcomes(self) -> Iterable[Mapping[str, Any]]: ...
    def record(self, samples: list[Sample]) -> None: ...


def outcome_of(trace: Trace, verdicts: Iterable[Verdict]) -> Outcome:
    """What a sample comes to: see corpus/outcomes.sql, which says the same of stored ones."""
    if trace.faults:
        return Outcome.UNPARSED
    said = {verdict.outcome for verdict in verdicts}
    if said == {Outcome.CORRECT}:
        return Outcome.CORRECT
    return next((one for one in (Outcome.WRONG, Outcome.UNPARSED) if one in said), Outcome.UNDECIDED)


@dataclass
class Generation:
    """One run of a plan's missing samples through engines."""

    plan: Plan
    ledger: Ledger
    on_progress: Callable[[Progress], None] = lambda progress: None
    _makers: Sequence[Maker] = ()
    _held: list[deque[Draw]] = field(default_factory=list)
    """By maker: drawn, and waiting for it to have room."""
    _asking: Counter[int] = field(default_factory=Counter)
    """Requests out, by maker."""
    _open: int = 0
    """Samples that an engine has finished and that are not durable yet."""
    _new: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)
    """The first of those reasons that differ in numbers only (lengths, ports)."""
    _pace: Pace = field(default_factory=Pace)
    _started: float = 0.0
    _line: Line | None = None
    _is_spent: bool = False
    """The GPU-seconds of this run are used up: nothing more is drawn."""

    def __post_init__(self) -> None:
        known = Durable(self.plan.tasks.ids(), self.ledger.outcomes())
        self._total, self._durable_before = self.plan.samples, len(known)
        self._draws = Draws(strategy_of(self.plan), known)
        self._next = self._draws.next()

    @property
    def is_complete(self) -> bool:
        """Nothing is left to be made."""
        return self._next is None

    def progress(self) -> Progress:
        """Where the job stands now."""
        total, durable = self._total, self._durable_before + self._new
        seconds = time.monotonic() - self._started
        prompts, unsettled = len(self.plan.tasks), self._draws.open_prompts
        is_fixed = self.plan.recipe.generate.strategy.name == "fixed"
        left = total - durable - sum(self._refused.values()) if is_fixed else unsettled
        return Progress(
            total=max(total, durable),  # retries come on top
            durable=durable,
            new=self._new,
            correct=self._counts["correct"],
            refused=dict(self._refused),
            prompt_tokens=self._counts["prompt"],
            completion_tokens=self._counts["completion"],
            seconds=seconds,
            prompts=prompts,
            settled=prompts - unsettled,
            queues=Queues(self._asking.total(), *((line.judging, line.recording) if (line := self._line) else (0, 0))),
            engines=tuple(maker.pool.figures() for maker in self._makers),
            eta=self._pace.eta(left),
        )

    async def run(self, makers: Sequence[Maker], judge: Judge | None = None) -> Progress:
        """Make what is missing durable. `judge` has its engine, for a plan that needs one.

        Raises EngineError or CorpusError on failure. Cancelled or failed, it first makes durable what the engines have
        finished. Where the judge's engine fails, those samples get UNDECIDED `judge_failed` (`pipelines.rejudging`).
        """
        self._started = time.monotonic()
        self._makers = makers
        self._held = [deque() for _ in makers]
        if judge is not None:
            self.plan = self.plan.with_judge(judge)
        section = self.plan.judge_section
        # Each verdict waits for a process of its own or takes microseconds; a judge's engine takes more at once.
        threads = THREADS if section is None else max(THREADS, section.concurrency)
        self._changed = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._line = Line(self._judged, self.ledger, threads, self._count, self._fail)
        asking = asyncio.create_task(self._ask_all(line))
        try:
            await asyncio.wait((asking, self._failure), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _uninterrupted(_finish(asking, line))
        error = None if asking.cancelled() else asking.exception()
        if error is not None:
            self._fail(error)
        if self._failure.done():
            await self._failure
        if self._refused and not self._durable_before + self._new:
            raise EngineError(f"the engine refused every request: {next(iter(self._refused))}")
        return self.progress()

    async def _ask_all(self, line: Line) -> None:
        """Ask until nothing is left to be drawn and all that was drawn is durable."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._ask_more(group, line)
                is_drawn = self._is_spent or (self._next is None and not any(self._held))
                if is_drawn and not self._asking.total() + self._open:
                    return
                try:
                    async with asyncio.timeout(LOOK_S):  # not wait_for: Python 3.11's may swallow a cancellation
                        await self._changed.wait()
                except TimeoutError:
                    self._report()  # also while nothing is finished, or no replica is there
                self._changed.clear()

    def _ask_more(self, group: asyncio.TaskGroup, line: Line) -> None:
        """Ask for so much that no engine runs dry, unless verdicts or the ledger lag behind."""
        limit = self.plan.recipe.generate.gpu_seconds
        if limit is not None and sum(maker.pool.figures().gpu_seconds for maker in self._makers) >= limit:
            self._is_spent = True
        if self._is_spent or self._failure.done():
            return
        wanted = [maker.pool.wanted for maker in self._makers]
        for at, held in enumerate(self._held):
            while held and self._has_room(wanted, at):
                self._start(group, line, held.popleft(), at)
        if self._next is None:
            self._next = self._draws.next()
        # What another engine of the mix is to make waits for it, while those that have room go on.
        while self._next is not None and sum(map(len, self._held)) < HELD:
            if not any(self._has_room(wanted, at) for at in range(len(wanted))):
                break
            draw = self._next
            at = pick(self._makers, self.plan.recipe.generate.seed, self.plan.tasks.id(draw.task), draw.sample)
            if self._has_room(wanted, at):
                self._start(group, line, draw, at)
            else:
                self._held[at].append(draw)
            self._next = self._draws.next()
        if self._next is not None or any(self._held):
            for maker in self._makers:
                if maker.pool.failure is not None:
                    raise EngineError(str(maker.pool.failure))

    def _has_room(self, wanted: Sequence[int], at: int) -> bool:
        return self._asking[at] < wanted[at] and self._open < 4 * sum(wanted)

    def _start(self, group: asyncio.TaskGroup, line: Line, draw: Draw, at: int) -> None:
        self._asking[at] += 1
        group.create_task(self._ask(draw, at, line))

    async def _ask(self, draw: Draw, at: int, line: Line) -> None:
        maker = self._makers[at]
        try:
            task = self.plan.tasks[draw.task]
            thinking = maker.format_of(task.thinking)
            request = request_of(self.plan, draw, task.prompt, thinking)
            done = await maker.engine.complete(request)
        except RefusedRequest as error:
            reason = _without_numbers(str(error))
            self._refused[self._examples.setdefault(reason, str(error))] += 1
            self._draws.done(draw, Result(None))
        else:
            if draw.variant:
                done = replace(done, interventions=(*done.interventions, f"retry:{draw.variant}"))
            self._open += 1
            line.put(Made(draw, request, done, done.model or maker.model, task.prompt, thinking))
        finally:
            self._asking[at] -= 1
            self._changed.set()

    def _judged(self, made: Made) -> tuple[Sample, EngineError | None]:
        """In a thread of the line."""
        prompt = made.prompt
        trace = made.thinking.trace(
            prompt, self.plan.job_id, made.draw.sample, made.model, made.request, made.completion
        )
        verdicts, failure = verdicts_of(prompt, trace, self.plan.judges[prompt.verifier])
        return (trace, verdicts), failure

    def _count(self, durable: list[tuple[Draw, Sample]]) -> None:
        """On the event loop, once they are on disk."""
        try:
            self._take_in(durable)
        except Exception as error:  # noqa: BLE001 - of a callback: asyncio would only log it
            self._fail(error)

    def _take_in(self, durable: list[tuple[Draw, Sample]]) -> None:
        self._new += len(durable)
        self._open -= len(durable)
        before = self._draws.open_prompts
        for draw, (trace, verdicts) in durable:
            outcome = outcome_of(trace, verdicts)
            self._counts["prompt"] += trace.prompt_tokens
            self._counts["completion"] += trace.completion_tokens
            self._counts["correct"] += outcome is Outcome.CORRECT
            self._draws.done(draw, Result(outcome, trace.completion_tokens))
        is_fixed = self.plan.recipe.generate.strategy.name == "fixed"
        done = len(durable) if is_fixed else before - self._draws.open_prompts
        self._pace.add(time.monotonic() - self._started, done)
        self._changed.set()
        self._report()

    def _report(self) -> None:
        self.on_progress(self.progress())

    def _fail(self, error: BaseException) -> None:
        """The first failure ends the run."""
        if not self._failure.done():
            self._failure.set_exception(error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error)


async def _finish(asking: asyncio.Task[None], line: Line) -> None:
    """Ask no more, and make durable what the engines have finished: it is paid for."""
    asking.cancel()  # nothing happens where it is done
    await asyncio.gather(asking, return_exceptions=True)
    await line.close()


async def _uninterrupted(ending: Coroutine[Any, Any, None]) -> None:
    """Wait for it to its end, however often the caller is cancelled meanwhile; then the caller is cancelled."""
    task, cancelled = asyncio.create_task(ending), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


def _without_numbers(message: str) -> str:
    """The same reason with other lengths in it is one reason."""
    return re.sub(r"\d[\d,]*", "N", message)
