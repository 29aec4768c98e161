"""Runs a job that stands in the store: its state and progress go there, orders come from there, once a second.

The state is `running` exactly while this holds the job's ledger. A pause, a cancellation and a signal stop a job where
it is, with all that the engine has finished made durable; sifting is finished first. An order that comes when the data
set is being selected is too late, and the job is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tracemill.core.errors import Locked, SetupError, TracemillError
from tracemill.core.settings import Settings
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus
from tracemill.pipelines.brake import Brakes
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order, Runner, Totals
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.references import ReferenceCheck
from tracemill.pipelines.runner import Result, Watch, run_held

EVERY_S = 1.0
"""Seconds between two looks at the store. One takes 4 ms with SQLite, writing progress 33 ms (a loaded machine)."""
LEAVING_S = 15.0
"""How long a run that was stopped may hold its ledger after it has said so."""
STATES = {Order.PAUSE: JobState.PAUSED, Order.CANCEL: JobState.CANCELLED}
"""What a running job comes to on an order that stops it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended without a failure."""

    state: JobState
    """finished, paused or cancelled."""
    progress: Progress | None
    """Of this run's generation; None where it did not come to that."""
    result: Result | None
    """Of a finished job."""


async def run_stored(
    plan: Plan, settings: Settings, watch: Watch, store: JobStore, runner: Runner, harvest: bool = False
) -> Ending:
    """Run a queued job to its end, or until it is told to stop; `harvest` makes no sample.

    Cancelled, it leaves the job `stopped`. Raises what `run_job` raises, having recorded it; Locked where another
    process runs the job, whose state is then that process's to write.
    """
    try:
        corpus = await asyncio.to_thread(Corpus.open, settings.corpus)
        async with _held(plan, corpus, store, runner) as ledger:
            job = store.start(plan.job_id, plan.recipe, runner, str(settings.corpus))
            if job is None:
                return Ending(_state(store, plan.job_id), None, None)
            earlier = await asyncio.to_thread(_truly, job.totals, ledger)
            return await _Run(plan, settings, watch, store, corpus, ledger, earlier).recorded(harvest)
    except asyncio.CancelledError:
        store.move(plan.job_id, [JobState.QUEUED], JobState.STOPPED)
        raise
    except Locked:
        raise
    except Exception as error:
        store.move(plan.job_id, [JobState.QUEUED], JobState.FAILED, reason_of(error))
        raise


def _truly(totals: Totals, ledger: Ledger) -> Totals:
    """With the samples that are durable: a run that was killed had not come to say all that it had made."""
    samples = correct = tokens = 0
    for row in ledger.outcomes():
        samples, correct = samples + 1, correct + (row["outcome"] == "correct")
        tokens += row["tokens"]
    return replace(totals, samples=samples, correct=correct, completion_tokens=tokens)


def reason_of(error: Exception) -> str:
    """What a failed job shows."""
    return str(error) if isinstance(error, TracemillError) else f"{type(error).__name__}: {error}"


@asynccontextmanager
async def _held(plan: Plan, corpus: Corpus, store: JobStore, runner: Runner) -> AsyncIterator[Ledger]:
    """The job's ledger. One that a stopped run of a queued job is about to leave is waited for.

    So does an actor that Ray has started in place of one that it takes for dead.
    """
    deadline = time.monotonic() + LEAVING_S
    while True:
        try:
            ledger = Ledger.open(corpus, plan.job_id)
            break
        except Locked:
            is_leaving = _state(store, plan.job_id) is JobState.QUEUED or runner == "service"
            if not is_leaving or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
    with ledger:
        yield ledger


def _state(store: JobStore, job_id: str) -> JobState:
    job = store.get(job_id)
    assert job is not None  # a row is never deleted
    return job.state


@dataclass
class _Run:
    """One run of a job whose ledger is held."""

    plan: Plan
    settings: Settings
    watch: Watch
    store: JobStore
    corpus: Corpus
    ledger: Ledger
    earlier: Totals
    _latest: Progress | None = None
    _written: Progress | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "jobs-store"))
    """Its own, so that a slow database holds nothing up."""

    async def recorded(self, harvest: bool) -> Ending:
        """Run to the end and record a failure, while the ledger is held."""
        try:
            return await self._to_its_end(harvest)
        except asyncio.CancelledError:
            self.store.end(self.plan.job_id, JobState.STOPPED)
            raise
        except Exception as error:
            self.store.end(self.plan.job_id, JobState.FAILED, reason_of(error))
            raise

    async def _to_its_end(self, harvest: bool) -> Ending:
        """Run again where the order that stopped it was withdrawn before it had stopped."""
        try:
            while (ending := await self._once(harvest)) is None:
                if self._latest is not None:
                    self.earlier, self._latest = self.earlier.with_run(self._latest), None
            return ending
        finally:
            with contextlib.suppress(SetupError):  # which would hide why it ends
                self._write_last()
            self._thread.shutdown(wait=False)

    async def _once(self, is_harvest: bool) -> Ending | None:
        """One walk through the stages; None where it was stopped and is to go on."""
        brakes = Brakes()
        if is_harvest:
            brakes.harvest.pull()
        told = replace(self.watch, on_progress=self._on_progress, on_references=self._on_references)
        self._obey(self._look(), brakes)
        following = asyncio.create_task(self._follow(brakes))
        try:
            result = await run_held(self.plan, self.settings, told, self.corpus, self.ledger, brakes)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if result is None:
            return await self._stopped()
        self._latest = result.progress or self._latest
        self._write_last()
        counts = {"total": self.plan.samples, "durable": result.funnel.generated, "kept": result.funnel.kept}
        self.store.add_progress(self.plan.job_id, counts)
        self.store.end(self.plan.job_id, JobState.FINISHED, harvested=result.harvested)
        return Ending(JobState.FINISHED, result.progress, result)

    async def _stopped(self) -> Ending | None:
        # Who reads that it is paused finds its samples in the tables, and as many in its progress.
        await asyncio.to_thread(self.ledger.commit)
        self._write_last()
        for order, state in STATES.items():
            if self.store.end(self.plan.job_id, state, order=order):
                return Ending(state, self._latest, None)
        state = _state(self.store, self.plan.job_id)
        return None if state is JobState.RUNNING else Ending(state, self._latest, None)

    async def _follow(self, brakes: Brakes) -> None:
        """Look at the store as long as the job runs."""
        while True:
            await asyncio.sleep(EVERY_S)
            with contextlib.suppress(SetupError):  # the next look will do; samples matter more
                looked = await asyncio.get_running_loop().run_in_executor(self._thread, self._write_and_look)
                self._obey(looked, brakes)

    def _write_and_look(self) -> Job | None:
        self._write()
        return self._look()

    def _look(self) -> Job | None:
        return self.store.get(self.plan.job_id)

    def _obey(self, job: Job | None, brakes: Brakes) -> None:
        if job is None:
            return
        if job.requested in STATES or job.state is not JobState.RUNNING:  # or who took this run for dead moved it
            brakes.stop.pull()
        elif job.requested is Order.HARVEST:
            brakes.harvest.pull()

    def _on_progress(self, progress: Progress) -> None:
        self._latest = progress
        self.watch.on_progress(progress)

    def _on_references(self, found: ReferenceCheck) -> None:
        self.store.set_references(self.plan.job_id, found)
        self.watch.on_references(found)

    def _write_last(self) -> None:
        """Write where it came to, after whatever is being written. Blocks. Raises SetupError."""
        self._thread.submit(self._write).result()

    def _write(self) -> None:
        """Put the latest progress into the store, if it is not there."""
        latest = self._latest
        if latest is not None and latest is not self._written:
            self.store.set_progress(self.plan.job_id, latest, self.earlier)
            self._written = latest
