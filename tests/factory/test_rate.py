"""Rate limits on a clock of the test's own: what passes in any minute, and who waits for whom."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tracemill.factory.engines.rate import Clock, Pace


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 0.0
        self.clock = Clock(lambda: self.at, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


async def sent(pace: Pace, time: FakeTime, tokens: list[int]) -> list[float]:
    """When each of the requests was let through."""
    moments = []
    for amount in tokens:
        await pace.take(amount)
        moments.append(time.at)
    return moments


@given(st.integers(1, 600), st.lists(st.integers(1, 400), min_size=1, max_size=80), st.integers(60, 30_000))
def test_no_minute_holds_more_than_its_limit(requests: int, tokens: list[int], per_minute: int) -> None:
    time = FakeTime()
    moments = asyncio.run(sent(Pace(requests, per_minute, time.clock), time, tokens))
    assert moments == sorted(moments)
    for start in moments:
        within = [amount for at, amount in zip(moments, tokens, strict=True) if start <= at < start + 60]
        assert len(within) <= requests + max(1, requests / 60) + 1e-6
        # One request may be larger than the bucket: it passes when that is full, and what follows pays for it.
        assert sum(within) - max(within) <= per_minute + max(1, per_minute / 60) + 1e-6


async def test_requests_are_spread_over_the_minute() -> None:
    time = FakeTime()
    moments = await sent(Pace(60, None, time.clock), time, [1] * 5)
    assert [round(at, 3) for at in moments] == [0, 1, 2, 3, 4]


async def test_usage_corrects_the_estimate_and_failed_requests_cost_no_tokens() -> None:
    time = FakeTime()
    pace = Pace(None, 6000, time.clock)  # 100 tokens a second
    assert pace.estimate(10, max_tokens=500) == 510, "the worst case while nothing is known"
    await pace.take(510)
    pace.correct(510, 60, 50)
    assert pace.estimate(10, max_tokens=500) == 60
    assert pace.estimate(10, max_tokens=20) == 30, "never more than was asked for"
    await pace.take(100)
    assert round(time.at, 3) == 0.6, "60 used of 100: 40 left, 60 to wait for"
    pace.correct(100, 0, None)
    await pace.take(100)
    assert round(time.at, 3) == 0.6


async def test_a_pause_holds_everybody_back_and_the_first_to_come_is_the_first_to_go() -> None:
    time = FakeTime()
    pace = Pace(None, None, time.clock)
    pace.pause(7)
    pace.pause(3)
    order: list[int] = []

    async def one(number: int) -> None:
        await pace.take(1)
        order.append(number)

    await asyncio.gather(*(one(k) for k in range(5)))
    assert (order, round(time.at, 3)) == ([0, 1, 2, 3, 4], 7)
