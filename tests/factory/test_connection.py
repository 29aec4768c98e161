"""What passes and what does not between an engine and its server: retries, pauses, timeouts, connections, limits."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from tests.factory.scripted_server import Server, Waits, chat, completed, engine, failure, request

from tracemill.core.errors import EngineError, RefusedRequest
from tracemill.core.types import Message
from tracemill.factory.engines.openai import OpenAIEngine, OpenAIOptions
from tracemill.factory.engines.rate import Clock


async def test_too_many_requests_are_tried_again_when_the_server_says(server: Server) -> None:
    waits = Waits()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    server.script = [failure(429, **{"Retry-After": "7"}), failure(503, **{"Retry-After": date}), chat("5")]
    async with engine(server, waits) as opened:
        assert (await opened.complete(request())).text == "5"
    assert 7 <= waits.slept[0] <= 7.5, "7 s and a jitter of up to half a second"
    assert 95 <= waits.slept[1] <= 101


async def test_a_pause_that_the_server_asks_for_holds_the_others_back_too(server: Server) -> None:
    waits = Waits()
    server.script = [failure(429, **{"Retry-After": "50"}), chat("5")]
    async with engine(server, waits, concurrency=1) as opened:
        await asyncio.gather(*(opened.complete(request(id=str(k))) for k in range(3)))
    assert len(server.bodies) == 4, "nobody else ran into it"


@pytest.mark.parametrize("hiccup", [failure(500), failure(502), failure(408), "{oops", {"choices": []}, "drop"])
async def test_what_may_pass_is_tried_again_with_backoff(server: Server, hiccup: Any) -> None:
    waits = Waits()
    server.script = [hiccup, hiccup, chat("5")]
    async with engine(server, waits) as opened:
        assert (await opened.complete(request())).text == "5"
    assert (len(server.bodies), len(waits.slept)) == (3, 2)
    assert 0 <= waits.slept[0] <= 0.5
    assert 0 <= waits.slept[1] <= 1


async def test_a_failure_inside_a_good_reply_counts_as_one(server: Server) -> None:
    within = {"error": {"message": "upstream is gone", "code": 503}}
    assert (await completed(server, [within, chat("5")], request())).text == "5"
    with pytest.raises(RefusedRequest, match="too long"):
        await completed(server, [{"error": {"message": "too long", "code": 400}}], request())


async def test_an_interrupted_generation_is_asked_for_again(server: Server) -> None:
    assert (await completed(server, [chat("4", "abort"), chat("5")], request())).text == "5"


async def test_a_server_that_hangs_or_is_gone_is_an_engine_that_failed(server: Server) -> None:
    async def hang(body: dict[str, Any], path: str) -> None:
        await asyncio.sleep(2)

    server.script = [lambda body, path: hang(body, path)]
    async with engine(server, Waits(), timeout_s=0.2) as opened:
        with pytest.raises(EngineError, match=r"failed 3 times, at last with: no answer within 0\.2 s"):
            await opened.complete(request())
    assert len(server.bodies) == 3
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = OpenAIEngine(
            OpenAIOptions("m", f"http://127.0.0.1:{free.getsockname()[1]}/v1", tries=2),
            Clock(sleep=Waits().sleep),
        )
        await gone.start()
        with pytest.raises(EngineError, match=r"failed 2 times, at last with: no answer: Cannot connect"):
            await gone.complete(request())
        await gone.close()


@pytest.mark.parametrize("status", [400, 404, 413, 422, 501])
async def test_a_request_that_can_never_work_is_refused_at_once(server: Server, status: int) -> None:
    with pytest.raises(RefusedRequest, match="the prompt is too long") as caught:
        await completed(server, [failure(status, "the prompt\n is too long")], request())
    assert "\n" not in str(caught.value)
    assert len(server.bodies) == 1


async def test_an_account_that_is_used_up_and_a_pause_of_a_day_end_the_run(server: Server) -> None:
    empty = failure(429, "no credit", "insufficient_quota")
    with pytest.raises(EngineError, match=r"used up .*no credit"):
        await completed(server, [empty], request())
    with pytest.raises(EngineError, match="takes nothing for 86400 s"):
        await completed(server, [failure(429, **{"Retry-After": "86400"})], request())
    assert len(server.bodies) == 2


async def test_connections_are_few_and_used_again(server: Server) -> None:
    async def answer(body: dict[str, Any], path: str) -> dict[str, Any]:
        await asyncio.sleep(0.002)
        return chat(body["messages"][0]["content"])

    server.script = [lambda body, path: answer(body, path)]
    async with engine(server, concurrency=4) as opened:
        asked = [request(id=str(k), prompt=(Message("user", str(k)),)) for k in range(80)]
        done = await asyncio.gather(*(opened.complete(one) for one in asked))
    assert [one.text for one in done] == [str(k) for k in range(80)]
    assert server.most_at_once <= 4
    assert len(server.connections) <= 4


async def test_the_wait_for_a_place_is_not_part_of_the_timeout(server: Server) -> None:
    async def answer(body: dict[str, Any], path: str) -> dict[str, Any]:
        await asyncio.sleep(0.15)
        return chat("5")

    server.script = [lambda body, path: answer(body, path)]
    async with engine(server, concurrency=1, timeout_s=2.0) as opened:
        await asyncio.gather(*(opened.complete(request(id=str(k))) for k in range(20)))
    assert len(server.bodies) == 20, "3 s in all, and none was sent twice"


async def test_rate_limits_hold_and_count_what_was_really_used(server: Server) -> None:
    waits = Waits()
    moments: list[float] = []

    def answer(body: dict[str, Any], path: str) -> dict[str, Any]:
        moments.append(waits.at)
        return chat("5", tokens=9)

    server.script = [answer]
    async with engine(server, waits, requests_per_minute=30, concurrency=1) as opened:
        await asyncio.gather(*(opened.complete(request(id=str(k))) for k in range(10)))
    assert all(later - at >= 1.99 for at, later in pairwise(moments))
    moments.clear()
    waits.at = 0.0
    async with engine(server, waits, tokens_per_minute=1200) as opened:
        for k in range(31):  # 20 tokens each, whatever was estimated: 1 s each
            await opened.complete(request(id=str(k)))
    assert 28 <= moments[-1] - moments[0] <= 40
