"""The engine without a model: deterministic, scripted, slow, mortal."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tracemill.core.errors import EngineError
from tracemill.core.markup import MARKUPS
from tracemill.core.types import Message, Prompt, Request, Sampling
from tracemill.factory.engines.fake import FakeEngine, FakeOptions
from tracemill.factory.thinking import ThinkFormat


def request(name: str, text: str = "What is 12 + 5 - 3?", max_tokens: int = 100) -> Request:
    return Request(name, (Message("user", text),), Sampling(max_tokens=max_tokens), "<think>\n", ("</answer>",))


async def test_the_same_request_gets_the_same_answer() -> None:
    first = [await FakeEngine().complete(request(str(k))) for k in range(50)]
    again = [await FakeEngine().complete(request(str(k))) for k in range(50)]
    assert first == again
    right = sum("<answer>\n14\n</answer>" in done.text for done in first)
    assert 20 <= right <= 40, "6 in 10 are right"


async def test_it_answers_what_it_is_told_and_is_cut_at_the_limit() -> None:
    engine = FakeEngine(script=lambda request: "one two three four")
    whole, cut = await engine.complete(request("a")), await engine.complete(request("b", max_tokens=2))
    assert (whole.text, whole.completion_tokens, whole.finish_reason) == ("one two three four", 4, "stop")
    assert (cut.text, cut.completion_tokens, cut.finish_reason) == ("one two", 2, "length")


async def test_it_can_be_slow_and_it_can_die() -> None:
    engine = FakeEngine(seconds=0.05, dies_after=1)
    started = time.monotonic()
    await engine.complete(request("a"))
    assert time.monotonic() - started >= 0.05
    with pytest.raises(EngineError, match="died after 1 completions"):
        await engine.complete(request("b"))
    assert engine.completed == ["a"]


async def test_what_was_answered_is_logged_by_all_engines_that_share_a_file(tmp_path: Path) -> None:
    options = FakeOptions(log=str(tmp_path / "answered.txt"))
    started = time.time()
    for name in ("a", "b", "a"):
        engine = options.build()
        await engine.start()
        await engine.complete(request(name))
    lines = [line.split() for line in (tmp_path / "answered.txt").read_text().splitlines()]
    assert [one for one, _ in lines] == ["a", "b", "a"]
    assert all(started - 0.01 <= float(at) <= time.time() + 0.01 for _, at in lines), "rounded to a thousandth"


@pytest.mark.parametrize("name", MARKUPS)
async def test_it_follows_the_format_that_it_is_asked_in(name: str) -> None:
    """8 in 10 well-formed, 6 of them right, whatever the format; a recipe that is tried keeps something."""
    thinking, engine = ThinkFormat.named(name), FakeEngine()
    prompt = Prompt("p", "What is 12 + 5 - 3?", "math", "math", "14", "test")
    traces = []
    for k in range(200):
        asked = Request(str(k), thinking.render(prompt.text), Sampling(), thinking.prefill, thinking.stop)
        traces.append(thinking.trace(prompt, "job", k, "fake", asked, await engine.complete(asked)))
    whole = [trace for trace in traces if not trace.faults]
    assert 140 <= len(whole) <= 180
    right = "\\boxed{14}" if name == "boxed" else "14"
    assert 100 <= sum(trace.answer == right for trace in whole) <= 140
    assert all("left to right" in trace.reasoning for trace in whole)


async def test_hosted_it_decodes_so_many_at_once_and_counts_what_it_does() -> None:
    engine = FakeOptions(concurrency=4, seconds=0.04).build()
    await engine.start()
    running = asyncio.gather(*(engine.complete(request(str(k))) for k in range(10)))
    await asyncio.sleep(0.01)
    now = engine.stats()
    assert (now.running, now.waiting, now.completion_tokens) == (4, 6, 0)
    assert now.stalled_s > 0
    done = await running
    after = engine.stats()
    assert (after.running, after.waiting, after.stalled_s) == (0, 0, 0)
    assert after.completion_tokens == sum(one.completion_tokens for one in done)
    assert after.prompt_tokens == sum(one.prompt_tokens for one in done)
    assert 0.04 < after.busy_s < 2
    assert done == [await FakeEngine().complete(request(str(k))) for k in range(10)], "the text depends on nothing else"
    assert not engine.completed, "it keeps nothing of what it has done"


async def test_hosted_it_can_be_broken_and_it_can_hang() -> None:
    with pytest.raises(EngineError, match="cannot start: no such model"):
        await FakeOptions(broken="no such model").build().start()
    engine = FakeOptions(hangs_after=1).build()
    await engine.start()
    await engine.complete(request("a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await engine.complete(request("b"))
