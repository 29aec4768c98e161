"""The loop that keeps the engines busy: draw, ask, and hand over to the line that judges and makes durable.

A sample counts when the ledger has it on disk. There is no batch barrier: a finished sample is judged while others
still think, and what a strategy draws next needs no other prompt to be finished. Stopping or failing keeps every sample
that an engine has finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.ids import sample_seed, trace_id
from tracemill.core.types import Outcome, Prompt, Request, Sampling, Trace, Verdict
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.factory.thinking import ThinkFormat
from tracemill.pipelines.draws import Draws
from tracemill.pipelines.durable import Durable
from tracemill.pipelines.engines import Maker, pick
from tracemill.pipelines.line import Line, Made, Sample
from tracemill.pipelines.pace import Pace
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress, Queues
from tracemill.pipelines.rejudging import verdicts_of
from tracemill.pipelines.strategies import strategy_of
from tracemill.verifiers.judge import Judge
from tracemill.verifiers.judging import THREADS

LOOK_S = 1.0
"""Longest time between two looks at whether the engines want more: replicas come and go."""


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
    _asking: Counter[int] = field(default_factory=Counter)
    """Requests out, by maker."""
    _open: int = 0
    """Samples that an engine has finished and that are not durable yet."""
    _new: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _pace: Pace = field(default_factory=Pace)
    _started: float = 0.0
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

    def missing(self) -> Iterator[Draw]:
        """All samples that are to be made, where that does not depend on what becomes of them."""
        while self._next is not None:
            yield self._next
            self._next = self._draws.next()

    def progress(self) -> Progress:
        """Where the job stands now."""
        total, durable = self._total, self._durable_before + self._new
        seconds = time.monotonic() - self._started
        prompts, settled = len(self.plan.tasks), self._draws.settled
        is_fixed = self.plan.recipe.generate.strategy.name == "fixed"
        left = total - durable - sum(self._refused.values()) if is_fixed else prompts - settled
        return Progress(
            total=total,
            durable=durable,
            new=self._new,
            correct=self._counts["correct"],
            refused=dict(self._refused),
            prompt_tokens=self._counts["prompt"],
            completion_tokens=self._counts["completion"],
            seconds=seconds,
            prompts=prompts,
            settled=settled,
            queues=Queues(self._asking.total(), self._line.judging, self._line.recording),
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
        if judge is not None:
            self.plan = self.plan.with_judge(judge)
        section = self.plan.judge_section
        # Each verdict waits for a process of its own or takes microseconds; a judge's engine takes more at once.
        threads = THREADS if section is None else max(THREADS, section.concurrency)
        self._changed = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line = Line(self._judged, self.ledger, threads, self._count, self._fail)
        asking = asyncio.create_task(self._ask_all())
        try:
            await asyncio.wait((asking, self._failure), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()  # nothing happens where it is done
            (asked,) = await asyncio.gather(asking, return_exceptions=True)
            await self._line.close()  # what the engines have finished is paid for
        if isinstance(asked, Exception):
            self._fail(asked)
        if self._failure.done():
            await self._failure
        if self._refused and not self._durable_before + self._new:
            raise EngineError(f"the engine refused every request: {next(iter(self._refused))}")
        return self.progress()

    async def _ask_all(self) -> None:
        """Ask until nothing is left to be drawn and all that was drawn is durable."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._ask_more(group)
                if (self._next is None or self._is_spent) and not self._asking.total() + self._open:
                    return
                with contextlib.suppress(TimeoutError):  # not wait_for: of Python 3.11, it may swallow a cancellation
                    async with asyncio.timeout(LOOK_S):
                        await self._changed.wait()
                self._changed.clear()

    def _ask_more(self, group: asyncio.TaskGroup) -> None:
        """Ask for so much that no engine runs dry, unless verdicts or the ledger lag behind."""
        wanted = [maker.pool.wanted for maker in self._makers]
        most = sum(wanted)
        limit = self.plan.recipe.generate.gpu_seconds
        if limit is not None and sum(maker.pool.figures().gpu_seconds for maker in self._makers) >= limit:
            self._is_spent = True
        if self._next is None:
            self._next = self._draws.next()
        while self._next is not None and not self._is_spent and self._open < 4 * most:
            # One engine of a mix may have its fill while another starves: the samples that wait are then its own.
            is_hungry = any(self._asking[at] < want for at, want in enumerate(wanted))
            if not is_hungry or self._asking.total() >= 4 * most:
                return
            draw = self._next
            at = pick(self._makers, self.plan.recipe.generate.seed, self.plan.tasks.id(draw.task), draw.sample)
            self._asking[at] += 1
            group.create_task(self._ask(draw, at))
            self._next = self._draws.next()

    async def _ask(self, draw: Draw, at: int) -> None:
        maker = self._makers[at]
        try:
            task = self.plan.tasks[draw.task]
            thinking = maker.format_of(task.thinking)
            request = self._request(draw, task.prompt, thinking)
            done = await maker.engine.complete(request)
        except RefusedRequest as error:
            self._refused[_without_numbers(str(error))] += 1
            self._draws.done(draw, Result(None))
        else:
            if draw.variant:
                done = replace(done, interventions=(*done.interventions, f"retry:{draw.variant}"))
            self._open += 1
            self._line.put(Made(draw, request, done, done.model or maker.model, task.prompt, thinking))
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

    def request(self, draw: Draw, maker: Maker) -> Request:
        """What an engine is asked for one sample."""
        task = self.plan.tasks[draw.task]
        return self._request(draw, task.prompt, maker.format_of(task.thinking))

    def _request(self, draw: Draw, prompt: Prompt, thinking: ThinkFormat) -> Request:
        settings, text = self.plan.recipe.generate, prompt.text
        variant = settings.retry[draw.variant - 1] if draw.variant else None
        temperature, top_p = settings.temperature, settings.top_p
        if variant is not None:
            temperature = temperature if variant.temperature is None else variant.temperature
            top_p = top_p if variant.top_p is None else variant.top_p
            text = text if variant.prompt is None else variant.prompt.replace("{text}", text)
        return Request(
            id=trace_id(self.plan.job_id, prompt.id, draw.sample),
            prompt=thinking.render(text),
            sampling=Sampling(
                temperature=temperature,
                top_p=top_p,
                top_k=settings.top_k,
                max_tokens=settings.max_tokens,
                seed=sample_seed(settings.seed, prompt.id, draw.sample) if settings.reproducible else None,
            ),
            prefill=thinking.prefill,
            stop=thinking.stop,
            logprobs=settings.logprobs,
            prompt_id=prompt.id,
            sample=draw.sample,
        )

    def _count(self, durable: list[tuple[Draw, Sample]]) -> None:
        """On the event loop, once they are on disk."""
        self._new += len(durable)
        self._open -= len(durable)
        settled = self._draws.settled
        for draw, (trace, verdicts) in durable:
            outcome = outcome_of(trace, verdicts)
            self._counts["prompt"] += trace.prompt_tokens
            self._counts["completion"] += trace.completion_tokens
            self._counts["correct"] += outcome is Outcome.CORRECT
            self._draws.done(draw, Result(outcome, trace.completion_tokens))
        is_fixed = self.plan.recipe.generate.strategy.name == "fixed"
        self._pace.add(time.monotonic() - self._started, len(durable) if is_fixed else self._draws.settled - settled)
        self._changed.set()
        self.on_progress(self.progress())

    def _fail(self, error: BaseException) -> None:
        """The first failure ends the run."""
        if not self._failure.done():
            self._failure.set_exception(error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error)


def _without_numbers(message: str) -> str:
    """The same reason with other lengths in it is one reason."""
    return re.sub(r"\d[\d,]*", "N", message)
