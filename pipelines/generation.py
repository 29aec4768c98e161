"""The loop that keeps an engine busy: ask, split, judge, make durable, count. One event loop, one engine.

A sample counts when the ledger has it on disk. There is no batch barrier: a finished sample is judged while others
still think. Stopping or failing keeps every sample that the engine has finished.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.ids import sample_seed, trace_id
from tracemill.core.types import Completion, Engine, Outcome, Request, Sampling, Trace, Verdict
from tracemill.pipelines.plan import Plan, Task
from tracemill.pipelines.rejudging import verdicts_of
from tracemill.verifiers.judge import Judge
from tracemill.verifiers.judging import THREADS

Sample = tuple[Trace, tuple[Verdict, ...]]
Work = Iterator[tuple[Task, int]]
Finished = asyncio.Queue[Sample | None]


class Recorder(Protocol):
    """Makes samples durable; `corpus.ledger.Ledger` is one."""

    @property
    def finished(self) -> set[str]: ...
    def record(self, samples: list[Sample]) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands. Counts durable samples only; figures of speed are of this run."""

    total: int
    durable: int
    """Samples on disk, those of earlier runs included."""
    new: int
    correct: int
    """Of the new ones."""
    refused: Mapping[str, int]
    """Requests that the engine will not take, by reason. They are not samples; a later run asks again."""
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds if self.seconds else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end at the speed so far; None while there are too few samples to tell it.

        Until the first of those that the engine decodes at once are finished, the speed is far too low.
        """
        left = self.total - self.durable - sum(self.refused.values())
        enough = max(8, min(64, (self.total - self.durable + self.new) // 10))
        return self.seconds / self.new * left if self.new >= enough else None


@dataclass
class Generation:
    """One run of a plan's missing samples through an engine."""

    plan: Plan
    ledger: Recorder
    on_progress: Callable[[Progress], None] = lambda progress: None
    _durable_before: int = 0
    _new: int = 0
    _correct: int = 0
    _tokens: Counter[str] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _judging: set[asyncio.Task[None]] = field(default_factory=set)
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ledger"))
    """Threads of its own, so that a finished sample never waits behind slow verdicts to become durable."""
    _started: float = 0.0

    def missing(self) -> Work:
        """The samples that are not durable yet, those of one prompt together (they share the engine's prefix cache)."""
        for task in self.plan.tasks:
            for sample in range(self.plan.recipe.generate.samples):
                if trace_id(self.plan.job_id, task.prompt.id, sample) not in self.ledger.finished:
                    yield task, sample

    def progress(self) -> Progress:
        """Where the job stands now."""
        return Progress(
            total=self.plan.samples,
            durable=self._durable_before + self._new,
            new=self._new,
            correct=self._correct,
            refused=dict(self._refused),
            prompt_tokens=self._tokens["prompt"],
            completion_tokens=self._tokens["completion"],
            seconds=time.monotonic() - self._started,
        )

    async def run(self, engine: Engine, judge: Judge | None = None) -> Progress:
        """Make what is missing durable. `judge` has its engine, for a plan that needs one.

        Raises EngineError or CorpusError on failure. Cancelled or failed, it first makes durable what the engine has
        finished. Where the judge's engine fails, those samples get UNDECIDED `judge_failed` (`pipelines.rejudging`).
        """
        self._started = time.monotonic()
        if judge is not None:
            self.plan = self.plan.with_judge(judge)
        section = self.plan.judge_section
        # Each verdict waits for a process of its own or takes microseconds; a judge's engine takes more at once.
        self._judges = ThreadPoolExecutor(THREADS if section is None else max(THREADS, section.concurrency), "judge")
        self._failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._durable_before = self.plan.samples - sum(1 for _ in self.missing())
        # So many finished samples may wait for their verdicts before the engine is asked for no more.
        self._waiting = asyncio.Semaphore(4 * self.plan.recipe.generate.concurrency)
        finished: Finished = asyncio.Queue()
        making = asyncio.create_task(self._make_all(engine, self.missing(), finished))
        recording = asyncio.create_task(self._record_all(finished))
        try:
            await asyncio.wait((making, recording, self._failure), return_when=asyncio.FIRST_COMPLETED)
        finally:
            making.cancel()  # nothing happens where it is done
            (made,) = await asyncio.gather(making, return_exceptions=True)
            await asyncio.gather(*self._judging, return_exceptions=True)  # what the engine has finished is paid for
            finished.put_nowait(None)
            await recording
            self._judges.shutdown(wait=False)
            self._writer.shutdown(wait=False)
        if self._failure.done():
            raise self._failure.result()
        if isinstance(made, BaseExceptionGroup):
            raise made.exceptions[0]
        if isinstance(made, BaseException):
            raise made
        if self._refused and not self._durable_before + self._new:
            raise EngineError(f"the engine refused every request: {next(iter(self._refused))}")
        return self.progress()

    async def _make_all(self, engine: Engine, work: Work, finished: Finished) -> None:
        """A few makers more than the engine decodes at once, so that it always has a request at hand."""
        sequences = self.plan.recipe.generate.concurrency
        async with asyncio.TaskGroup() as group:
            for _ in range(sequences + max(8, sequences // 8)):
                group.create_task(self._make(engine, work, finished))
        if self._judging:
            await asyncio.wait(self._judging)  # stopped here too, the run still waits for them (`run`)

    async def _make(self, engine: Engine, work: Work, finished: Finished) -> None:
        for task, sample in work:
            request = self.request(task, sample)
            await self._waiting.acquire()
            try:
                done = await engine.complete(request)
            except RefusedRequest as error:
                self._waiting.release()
                self._refused[_without_numbers(str(error))] += 1
                continue
            judging = asyncio.create_task(self._judge(task, sample, request, done, finished))
            self._judging.add(judging)
            judging.add_done_callback(self._judged)

    async def _judge(self, task: Task, sample: int, request: Request, done: Completion, finished: Finished) -> None:
        model = self.plan.recipe.generate.model_name
        trace = task.thinking.trace(task.prompt, self.plan.job_id, sample, model, request, done)
        verifiers = self.plan.judges[task.prompt.verifier]
        loop = asyncio.get_running_loop()
        verdicts, failure = await loop.run_in_executor(self._judges, verdicts_of, task.prompt, trace, verifiers)
        finished.put_nowait((trace, verdicts))
        self._waiting.release()
        if failure is not None:
            raise failure

    def _judged(self, judging: asyncio.Task[None]) -> None:
        """A judge's engine that died ends the run."""
        self._judging.discard(judging)
        error = None if judging.cancelled() else judging.exception()
        if error is not None and not self._failure.done():
            self._failure.set_result(error)

    def request(self, task: Task, sample: int) -> Request:
        """What the engine is asked for one sample."""
        settings = self.plan.recipe.generate
        return Request(
            id=trace_id(self.plan.job_id, task.prompt.id, sample),
            prompt=task.thinking.render(task.prompt.text),
            sampling=Sampling(
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=settings.top_k,
                max_tokens=settings.max_tokens,
                seed=sample_seed(settings.seed, task.prompt.id, sample) if settings.reproducible else None,
            ),
            prefill=task.thinking.prefill,
            stop=task.thinking.stop,
        )

    async def _record_all(self, finished: Finished) -> None:
        """Writes whatever is finished with one fsync, then counts it."""
        last = False
        while not last:
            batch = [await finished.get()]
            while not finished.empty():
                batch.append(finished.get_nowait())
            last = None in batch
            samples = [sample for sample in batch if sample is not None]
            if samples:
                await asyncio.get_running_loop().run_in_executor(self._writer, self.ledger.record, samples)
                self._count(samples)
                self.on_progress(self.progress())

    def _count(self, samples: list[Sample]) -> None:
        self._new += len(samples)
        for trace, verdicts in samples:
            self._tokens["prompt"] += trace.prompt_tokens
            self._tokens["completion"] += trace.completion_tokens
            right = all(verdict.outcome is Outcome.CORRECT for verdict in verdicts)
            self._correct += right and not trace.faults


def _without_numbers(message: str) -> str:
    """The same reason with other lengths in it is one reason."""
    return re.sub(r"\d[\d,]*", "N", message)
