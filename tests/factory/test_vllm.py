"""The real model on vLLM in a Ray actor. `make test` fetches the model first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.settings import settings
from tracemill.core.types import Message, Request, Sampling
from tracemill.factory.actors import open_pool
from tracemill.factory.engines.vllm import VllmOptions
from tracemill.factory.models import model_folder
from tracemill.factory.pool import Pool
from tracemill.factory.thinking import Example, ThinkFormat

pytestmark = [pytest.mark.vllm, pytest.mark.ray, pytest.mark.asyncio(loop_scope="module")]

THINKING = ThinkFormat.named(
    "r1", (Example("What is 4 + 3?", "I add 3 to 4. 4 + 3 = 7.", "7"), Example("What is 9 - 1?", "9 - 1 = 8.", "8"))
)


def options(**changes: object) -> VllmOptions:
    folder = model_folder("smollm2-135m", settings().cache)
    return VllmOptions(str(folder), **{"max_num_seqs": 16, "extra": {"max_model_len": 1024}, **changes})  # type: ignore[arg-type]


def request(name: str, text: str = "What is 5 + 2?", max_tokens: int = 48, seed: int | None = None) -> Request:
    sampling = Sampling(temperature=1.0, max_tokens=max_tokens, seed=seed)
    return Request(name, THINKING.render(text), sampling, THINKING.prefill, THINKING.stop)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Pool]:
    async with open_pool(options(), None, 0, replicas=1) as engine:
        yield engine


async def test_many_requests_at_once_come_back_each_with_its_own_text(engine: Pool) -> None:
    done = await asyncio.gather(*(engine.complete(request(f"many-{k}", text="What is 68 + 57?")) for k in range(40)))
    assert [one.request_id for one in done] == [f"many-{k}" for k in range(40)]
    assert len({one.text for one in done}) > 10, "unseeded samples of one prompt differ"
    assert all(0 < one.completion_tokens <= 48 and one.prompt_tokens > 50 for one in done)
    closed = [one.text for one in done if one.finish_reason == "stop" and "</answer>" in one.text]
    assert len(closed) > 10, "worked examples make most completions well-formed"
    assert all(text.endswith("</answer>") for text in closed), "the stop string is kept, and nothing after it"


async def test_the_token_limit_is_told_from_a_stop(engine: Pool) -> None:
    cut = await engine.complete(request("cut", max_tokens=3))
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 3)


async def test_a_request_that_can_never_work_is_refused_and_the_engine_lives_on(engine: Pool) -> None:
    with pytest.raises(RefusedRequest, match=r"(?i)maximum|length|longer|token"):
        await engine.complete(request("long", text="why? " * 2000))
    assert (await engine.complete(request("after"))).completion_tokens > 0


async def test_a_chat_template_that_drops_the_reasoning_field_is_refused(engine: Pool) -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Hello", reasoning="A greeting."), Message("user", "Bye"))
    with pytest.raises(RefusedRequest, match="drops a part of the assistant turns"):
        await engine.complete(Request("native", turns, Sampling(max_tokens=4)))


async def test_raw_text_is_continued_for_base_models(engine: Pool) -> None:
    done = await engine.complete(Request("raw", "The capital of France is", Sampling(temperature=0, max_tokens=4)))
    assert "Paris" in done.text


async def test_a_seeded_request_does_not_enter_an_unseeded_engine(engine: Pool) -> None:
    with pytest.raises(RefusedRequest, match="must not share an engine"):
        await engine.complete(request("seeded", seed=1))


async def test_log_probabilities_are_those_of_the_tokens(engine: Pool) -> None:
    asked = replace(request("logprobs", max_tokens=24), logprobs=True)
    done = await engine.complete(asked)
    assert done.logprobs is not None
    assert len(done.logprobs) == done.completion_tokens
    assert all(-60 < one <= 0 for one in done.logprobs)
    sure = Request("sure", "The capital of France is", Sampling(temperature=0, max_tokens=1), logprobs=True)
    (best,) = (await engine.complete(sure)).logprobs or ()
    assert -2 < best < 0
    assert (await engine.complete(request("without"))).logprobs is None


async def test_figures_come_from_the_engine_and_its_prefix_cache_works(engine: Pool) -> None:
    await asyncio.sleep(2)  # what the tests before have made is counted by then
    before = engine.figures().replicas[0]
    running = asyncio.gather(*(engine.complete(request(f"figures-{k}", max_tokens=48)) for k in range(64)))
    seen = []
    while not running.done():
        await asyncio.sleep(0.2)
        seen.append(engine.figures().replicas[0])
    done = await running
    await asyncio.sleep(2)
    after = engine.figures().replicas[0]
    assert after.completion_tokens - before.completion_tokens == sum(one.completion_tokens for one in done)
    assert after.prompt_tokens - before.prompt_tokens == sum(one.prompt_tokens for one in done)
    assert 12 <= max(one.running for one in seen) <= 16, "seen once a second"
    assert max(one.waiting for one in seen) > 0
    assert max(one.busy_share for one in seen) > 0.2, "of the last ten seconds"
    assert max(one.completion_tokens_per_s for one in seen) > 0
    assert after.cached_share > 0.3, "64 samples of one prompt share its prefix"
    assert (after.running, after.waiting) == (0, 0)


async def test_a_cancelled_request_is_aborted_in_vllm(engine: Pool) -> None:
    long = [request(f"cancelled-{k}", "Count for ever.", max_tokens=900) for k in range(64)]
    running = asyncio.gather(*(engine.complete(one) for one in long))
    await until(lambda: engine.figures().replicas[0].running > 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: engine.figures().replicas[0].running == 0)
    assert engine.figures().replicas[0].restarts == 0, "only the request has ended"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():  # noqa: ASYNC110 - the engine's figures are no event
            await asyncio.sleep(0.1)


async def test_a_reproducible_engine_gives_the_same_text_in_any_order() -> None:
    wanted = [request(f"r-{k}", text=f"What is {k} + 2?", seed=1000 + k) for k in range(12)]
    async with open_pool(options(reproducible=True), None, 0, replicas=1) as engine:
        first = await asyncio.gather(*(engine.complete(one) for one in wanted))
    async with open_pool(options(reproducible=True, max_num_seqs=12), None, 0, replicas=1) as engine:
        again = [await engine.complete(one) for one in reversed(wanted[:4])]
    same = sum(one.text == other.text for one, other in zip(first[:4], reversed(again), strict=True))
    assert same >= 3, "a batch of another size may round one token differently, not more"


async def test_an_engine_that_cannot_start_says_why() -> None:
    with pytest.raises(EngineError, match=r"vLLM cannot start .*(max_model_len|model length)"):
        async with open_pool(options(extra={"max_model_len": 10**6}), None, 0, replicas=1):
            raise AssertionError("unreachable")
