"""What a recipe's strategy, retries, mix and budgets come to in a job."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tracemill.core.errors import EngineError, InputError
from tracemill.core.settings import settings
from tracemill.core.types import Completion, Outcome, Request
from tracemill.factory.engines.fake import FakeEngine, arithmetic
from tracemill.factory.local import LocalHost, local_pool
from tracemill.factory.pool import Pool
from tracemill.factory.replicas import Health
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker, check_model, open_makers, pick
from tracemill.pipelines.generation import Generation, outcome_of
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.progress import Progress

Sums = Callable[..., Plan]
Generate = Callable[..., Coroutine[Any, Any, Progress]]


def by_prompt(ledger: Any) -> dict[str, list[tuple[int, Outcome]]]:
    found = defaultdict(list)
    for trace, verdicts in ledger.samples:
        found[trace.prompt_id].append((trace.sample, outcome_of(trace, verdicts)))
    return {prompt: sorted(samples) for prompt, samples in found.items()}


async def test_adaptive_stops_at_what_is_enough_and_spends_less(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    plan, ledger = sums(samples=8, strategy={"adaptive": {"correct": 2}}), memory_ledger()
    progress = await generate(Generation(plan, ledger), FakeEngine())
    assert progress.durable < plan.samples == 400
    assert (progress.prompts, progress.settled) == (50, 50)
    for samples in by_prompt(ledger).values():
        assert [number for number, _ in samples] == list(range(len(samples)))
        right = [outcome is Outcome.CORRECT for _, outcome in samples]
        assert sum(right) <= 2
        assert right[-1] or len(samples) >= 4, "who stops early has enough or has failed for long"


async def test_adaptive_makes_the_same_samples_in_two_runs_as_in_one(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    strategy = {"adaptive": {"correct": 2, "lookahead": 32}}
    whole, parts = memory_ledger(), memory_ledger()
    await generate(Generation(sums(samples=6, strategy=strategy), whole), FakeEngine())
    with pytest.raises(EngineError):
        await generate(Generation(sums(samples=6, strategy=strategy), parts), FakeEngine(dies_after=60))
    assert 0 < len(parts.samples) < len(whole.samples)
    await generate(Generation(sums(samples=6, strategy=strategy, concurrency=3), parts), FakeEngine(seconds=0.001))
    assert by_prompt(parts) == by_prompt(whole)
    assert Generation(sums(samples=6, strategy=strategy), parts).is_complete


async def test_prompts_without_success_are_tried_again_as_the_variants_say(
    sums: Sums, memory_ledger: Any, generate: Generate
) -> None:
    asked: dict[str, Request] = {}

    class Stubborn(FakeEngine):
        """Answers nothing but the second variant."""

        async def complete(self, request: Request) -> Completion:
            asked[request.id] = request
            return await super().complete(request)

    def script(request: Request) -> str:
        return arithmetic(request) if "Again:" in str(request.prompt) else "I do not know."

    retry = [{"samples": 1, "temperature": 1.2}, {"samples": 4, "prompt": "Again: {text}"}]
    plan, ledger = sums(prompts=10, samples=2, retry=retry), memory_ledger()
    await generate(Generation(plan, ledger), Stubborn(script=script))
    traces = {(trace.prompt_id, trace.sample): trace for trace, _ in ledger.samples}
    assert len(traces) == 10 * (2 + 1 + 4)
    for (_, sample), trace in traces.items():
        variant = 0 if sample < 2 else 1 if sample == 2 else 2
        assert trace.interventions == (() if not variant else (f"retry:{variant}",))
        assert trace.sampling.temperature == (1.2 if variant == 1 else 0.7)
        question = str(asked[trace.id].prompt)
        assert ("Again: What is" in question) == (variant == 2)


async def test_a_mix_is_drawn_by_weight_and_every_trace_names_its_model(sums: Sums, memory_ledger: Any) -> None:
    plan, ledger = sums(samples=20), memory_ledger()
    one, other = FakeEngine(), FakeEngine(seconds=0.001)
    async with local_pool(one, 8) as first, local_pool(other, 4) as second:
        makers = (Maker(first, first, "one", 3.0), Maker(second, second, "other", 1.0, "boxed"))
        await Generation(plan, ledger).run(makers)
    models = Counter((trace.model, trace.thinking) for trace, _ in ledger.samples)
    assert set(models) == {("one", "r1"), ("other", "boxed")}
    assert 0.7 < models["one", "r1"] / 1000 < 0.8
    for trace, _ in ledger.samples:
        assert makers[pick(makers, 0, trace.prompt_id, trace.sample)].model == trace.model


async def test_a_slow_engine_of_a_mix_does_not_hold_up_a_fast_one(sums: Sums, memory_ledger: Any) -> None:
    plan, fast = sums(samples=8), FakeEngine()
    done_before: list[int] = []

    class Slow(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            await asyncio.sleep(0.2)
            done_before.append(len(fast.completed))
            return await super().complete(request)

    async with local_pool(fast, 4) as first, local_pool(Slow(), 4) as second:
        makers = (Maker(first, first, "fast", 9.0), Maker(second, second, "slow", 1.0))
        await Generation(plan, memory_ledger()).run(makers)
    assert done_before[0] > 40, "the fast one went on while the slow one worked on its first"


async def test_an_engine_of_a_mix_that_is_away_does_not_hold_up_the_others(sums: Sums, memory_ledger: Any) -> None:
    plan, ledger, engine = sums(samples=8), memory_ledger(), FakeEngine()
    away = Pool(Health())  # no replica yet
    async with local_pool(engine, 4) as here:
        makers = (Maker(here, here, "here"), Maker(away, away, "away"))
        mine = sum(
            makers[pick(makers, 0, prompt_id, sample)].model == "here"
            for prompt_id in plan.tasks.ids()
            for sample in range(8)
        )
        assert 150 < mine < 250

        def on_progress(progress: Progress) -> None:
            if progress.durable == mine and not away.replicas:
                away.add(LocalHost(FakeEngine(), 4))

        await Generation(plan, ledger, on_progress).run(makers)
    await away.close()
    assert len(ledger.samples) == 400


def test_gpu_seconds_without_gpus_are_refused(sums: Sums) -> None:
    with pytest.raises(InputError, match="no engine of this job holds a GPU"):
        check_model(sums(gpu_seconds=1), settings())


async def test_nothing_is_drawn_once_the_gpu_seconds_are_spent(sums: Sums, memory_ledger: Any) -> None:
    class OnGpu(LocalHost):
        gpus = 4.0

    plan, ledger = sums(samples=100, concurrency=2, gpu_seconds=1.2), memory_ledger()
    pool = Pool(Health())
    pool.add(OnGpu(FakeEngine(seconds=0.02), 2))
    await pool.ready()
    progress = await Generation(plan, ledger).run([Maker(pool, pool, "fake")])
    await pool.close()
    assert 0 < progress.durable < plan.samples
    assert progress.gpu_seconds >= 1.2
    assert progress.gpu_seconds_per_correct is not None
    assert not Generation(plan, ledger).is_complete, "a later run goes on"


async def test_the_budget_of_thinking_is_kept(sums: Sums, memory_ledger: Any) -> None:
    budget = {"max_tokens": 8, "answer_tokens": 16, "waits": 0}
    plan, ledger = sums(prompts=5, samples=2, budget=budget), memory_ledger()
    check_model(plan, settings())
    async with open_makers(plan, settings()) as makers:
        await Generation(plan, ledger).run(makers)
    assert len(ledger.samples) == 10
    closed = [trace for trace, _ in ledger.samples if "closed" in trace.interventions]
    assert closed
    for trace in closed:
        assert len(trace.reasoning.split()) <= 8


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        ({"strategy": {"adaptive": {"corect": 1}}}, r"generate\.strategy\.adaptive\.corect: 'adaptive' has no such option"),
        ({"strategy": {"adaptive": {"hopeless": 2}}}, r"generate\.strategy\.adaptive\.hopeless: 2"),
        ({"strategy": {"adaptive": {"group_by": ["lvl"]}}}, r"generate\.strategy\.adaptive\.group_by: no prompt has a column"),
        ({"strategy": {"adaptive": {"correct": 99}}}, r"generate\.strategy\.adaptive\.correct: 99 cannot come of"),
        ({"strategy": {"fixed": {"n": 2}}}, r"generate\.strategy\.fixed\.n: fixed has no options"),
        ({"engine_options": {"secnds": 2}}, r"generate\.engine_options\.secnds: 'fake' has no such option"),
        ({"mix": [{"engine": "openai", "model": "m"}]}, r"generate\.mix\[0\]\.engine_options\.base_url"),
        ({"mix": [{"engine": "openai", "model": "m", "engine_options": {"base_url": "localhost"}}]}, r"base_url: must start"),
    ],
)  # fmt: skip
def test_mistakes_are_found_before_anything_starts(sums: Sums, generate: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_model(sums(**generate), settings())


def test_where_and_how_fast_is_no_part_of_a_job(sums: Sums) -> None:
    plain = sums().job_id
    placements: list[dict[str, Any]] = [
        {"concurrency": 9}, {"gpus": 1}, {"replicas": 3}, {"gpu_seconds": 9}, {"retry": []}, {"mix": []},
    ]  # fmt: skip
    for same in placements:
        assert sums(**same).job_id == plain
    others: list[dict[str, Any]] = [
        {"strategy": {"adaptive": {}}}, {"retry": [{"samples": 1, "temperature": 1}]}, {"logprobs": True},
        {"budget": {"max_tokens": 9}}, {"mix": [{"engine": "fake", "weight": 2}]}, {"mix": [{"engine": "fake"}]},
    ]  # fmt: skip
    assert len({sums(**other).job_id for other in others} | {plain}) == len(others) + 1


def test_a_budget_may_be_raised_within_a_job(sums: Sums) -> None:
    def job(**options: object) -> str:
        return sums(strategy={"adaptive": options}).job_id

    assert job(budget_tokens=100) == job(budget_tokens=900) == job()
    assert job(correct=2) != job()


def test_a_server_may_move_within_a_job(sums: Sums) -> None:
    def job(**options: object) -> str:
        return sums(engine="openai", model="m", engine_options=options).job_id

    here, there = job(base_url="http://a/v1"), job(base_url="http://b/v1", tries=2, requests_per_minute=5)
    assert here == there
    assert job(base_url="http://a/v1", extra_body={"x": 1}) != here


def test_the_window_is_part_of_an_adaptive_job_and_of_no_other(sums: Sums) -> None:
    def job(strategy: object, low: float) -> str:
        recipe = sums(strategy=strategy).recipe
        return make_plan(
            recipe.model_copy(update={"select": recipe.select.model_copy(update={"pass_rate": (low, 1.0)})})
        ).job_id

    assert job("fixed", 0.0) == job("fixed", 0.5)
    assert job("adaptive", 0.0) != job("adaptive", 0.5)


@pytest.mark.parametrize("drawn", [{"strategy": "adaptive"}, {"retry": [{"samples": 1, "temperature": 1.0}]}])
def test_who_stops_at_correct_samples_needs_gold(drawn: dict[str, Any]) -> None:
    recipe = {
        "name": "x", "prompts": [{"source": "reasoning_gym", "task": "gcd", "count": 2}],
        "generate": {"engine": "fake", **drawn}, "verify": {"majority": {"min_votes": 2}},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"generate\.(strategy|retry): which samples are correct is not known"):
        make_plan(recipes.parse(recipe))
