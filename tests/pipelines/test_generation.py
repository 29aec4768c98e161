"""The loop around an engine: everything asked for becomes durable once, whatever goes wrong in between."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tracemill.core.errors import CorpusError, EngineError, RefusedRequest
from tracemill.core.types import Completion, Outcome, Prompt, Request, Trace, Verdict
from tracemill.factory.engines.fake import FakeEngine, arithmetic, last_question
from tracemill.factory.local import local_pool
from tracemill.pipelines.engines import Maker
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.progress import Progress

Sums = Callable[..., Plan]
Generate = Callable[..., Coroutine[Any, Any, Progress]]


async def test_every_sample_is_made_judged_and_counted_once(sums: Sums, memory_ledger: Any, generate: Generate) -> None:
    plan, ledger = sums(), memory_ledger()
    seen: list[Progress] = []
    progress = await generate(Generation(plan, ledger, seen.append), FakeEngine())
    assert len(ledger.samples) == len(ledger.finished) == plan.samples == 200
    assert progress.durable == progress.new == progress.total == 200
    right = [trace for trace, verdicts in ledger.samples if all(v.outcome is Outcome.CORRECT for v in verdicts)]
    assert progress.correct == len(right)
    assert 0.4 < len(right) / 200 < 0.8
    for trace, verdicts in ledger.samples:
        assert {v.verifier for v in verdicts} == {"math", "format"}
        assert all(v.trace_id == trace.id for v in verdicts)
    assert [p.durable for p in seen] == sorted(p.durable for p in seen)
    assert progress.completion_tokens == sum(trace.completion_tokens for trace, _ in ledger.samples)


async def test_a_second_run_makes_only_what_is_missing(sums: Sums, memory_ledger: Any, generate: Generate) -> None:
    plan, ledger = sums(), memory_ledger()
    with pytest.raises(EngineError, match="died after 70"):
        await generate(Generation(plan, ledger), FakeEngine(dies_after=70))
    kept = set(ledger.finished)
    assert len(kept) == 70, "what the engine had finished when it died is durable"
    engine = FakeEngine()
    progress = await generate(Generation(plan, ledger), engine)
    assert (progress.durable, progress.new) == (200, 130)
    assert not kept & set(engine.completed), "nothing durable is made again"


async def test_samples_do_not_depend_on_order_or_concurrency(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    results = []
    for concurrency in (1, 64):
        ledger = memory_ledger()
        await generate(Generation(sums(concurrency=concurrency), ledger), FakeEngine())
        results.append({trace.id: (trace.reasoning, trace.answer) for trace, _ in ledger.samples})
    assert results[0] == results[1]


async def test_stopping_keeps_what_was_judged(sums: Sums, memory_ledger: Any, generate: Generate) -> None:
    ledger, engine = memory_ledger(), FakeEngine(seconds=0.01)

    def stop_at_fifty(progress: Progress) -> None:
        if progress.durable >= 50:
            running.cancel()  # again and again: what is paid for is waited for all the same

    running = asyncio.create_task(generate(Generation(sums(), ledger, stop_at_fifty), engine))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 50 <= len(ledger.samples) < 200
    assert ledger.finished == set(engine.completed), "what the engine had finished is paid for"


async def test_a_corpus_that_cannot_be_written_ends_the_run_with_its_error(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    ledger = memory_ledger(fails_after=30, error=CorpusError("disk full"))
    with pytest.raises(CorpusError, match="disk full"):
        await generate(Generation(sums(), ledger), FakeEngine(seconds=0.001))
    assert len(ledger.samples) >= 30


async def test_a_refused_request_is_counted_and_the_others_go_on(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    class Picky(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            if "What is 7 +" in last_question(request):
                raise RefusedRequest("the prompt is too long")
            return await super().complete(request)

    plan, ledger = sums(), memory_ledger()
    progress = await generate(Generation(plan, ledger), Picky())
    assert progress.refused == {"the prompt is too long": 4}
    assert progress.durable == len(ledger.samples) == 196


async def test_seeds_belong_to_the_sample_and_only_to_reproducible_recipes(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    asked: dict[str, int | None] = {}

    def script(request: Request) -> str:
        asked[request.id] = request.sampling.seed
        return arithmetic(request)

    await generate(Generation(sums(prompts=3, reproducible=True, seed=5), memory_ledger()), FakeEngine(script=script))
    first = dict(asked)
    assert len(set(first.values())) == 12
    await generate(
        Generation(sums(prompts=3, reproducible=True, seed=5, concurrency=1), memory_ledger()),
        FakeEngine(script=script),
    )
    assert asked == first
    asked.clear()
    await generate(Generation(sums(prompts=3), memory_ledger()), FakeEngine(script=script))
    assert set(asked.values()) == {None}


async def test_slow_verdicts_hold_up_neither_the_engine_nor_the_ledger(
    sums: Sums, memory_ledger: Any, monkeypatch: pytest.MonkeyPatch, generate: Generate
) -> None:
    """The engine goes on while verdicts wait, and what is judged is durable before the rest."""
    plan, ledger, engine = sums(), memory_ledger(), FakeEngine()
    first_durable_at: list[int] = []
    slow = plan.judges["math"][0]

    class Slow:
        name, version = slow.name, slow.version

        def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
            time.sleep(0.02)
            return slow.verify(prompt, trace)

    slowed = dataclasses.replace(plan, judges={"math": (Slow(), *plan.judges["math"][1:])})
    await generate(Generation(slowed, ledger, lambda p: first_durable_at.append(len(engine.completed))), engine)
    assert len(ledger.samples) == 200
    assert first_durable_at[0] < 100, "the first sample is durable long before the last one is generated"
    assert max(first_durable_at) == 200


async def test_an_engine_that_refuses_everything_fails_the_run(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    class Refusing(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            raise RefusedRequest(f"prompt of {len(request.id)} tokens is too long")

    with pytest.raises(EngineError, match=r"refused every request: prompt of \d+ tokens is too long"):
        await generate(Generation(sums(prompts=3), memory_ledger()), Refusing())


async def test_what_could_not_be_written_is_written_when_the_disk_has_room_again(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    class Once(memory_ledger):  # type: ignore[misc]
        fails = 1

        def record(self, samples: list[Any]) -> None:
            if self.fails and len(self.samples) + len(samples) > 30:
                self.fails -= 1
                raise CorpusError("disk full")
            super().record(samples)

    ledger, engine = Once(), FakeEngine(seconds=0.001)
    with pytest.raises(CorpusError, match="disk full"):
        await generate(Generation(sums(), ledger), engine)
    assert ledger.finished == set(engine.completed)


async def test_a_defect_in_who_is_told_ends_the_run(sums: Sums, memory_ledger: Any, generate: Generate) -> None:
    def broken(progress: Progress) -> None:
        raise ZeroDivisionError

    ledger = memory_ledger()
    with pytest.raises(ZeroDivisionError):
        await generate(Generation(sums(), ledger, broken), FakeEngine())


async def test_a_pool_that_failed_while_it_was_idle_ends_the_run(sums: Sums, memory_ledger: Any) -> None:
    """Nobody asks it while verdicts lag behind."""
    plan, ledger = sums(concurrency=1), memory_ledger()
    async with local_pool(FakeEngine(), 1) as pool:

        def fail(progress: Progress) -> None:
            pool.failure = EngineError("cannot start again")
            pool._wanted = 0

        with pytest.raises(EngineError, match="cannot start again"):
            await Generation(plan, ledger, fail).run([Maker(pool, pool, "fake")])
    assert 0 < len(ledger.samples) < 200


async def test_who_waits_is_told_that_nothing_happens(sums: Sums, memory_ledger: Any, generate: Generate) -> None:
    seen: list[Progress] = []
    await generate(Generation(sums(prompts=1, samples=1), memory_ledger(), seen.append), FakeEngine(seconds=2.5))
    assert [progress.durable for progress in seen] == [0, 0, 1]
    assert seen[0].queues.asked == 1
