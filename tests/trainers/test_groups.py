"""What the samples of a prompt are told of which some could not be judged."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.trainers.groups import Groups
from tracemill.trainers.rewards import Reward, Weights

BLANK = Reward(None, 1, None, None, None, None, None)


def gathered(totals: list[float | None], delays: list[int]) -> list[dict[str, Any]]:
    groups, together = Groups(Weights()), object()

    async def sample(total: float | None, turns: int) -> Reward:
        for _ in range(turns):
            await asyncio.sleep(0)
        return replace(BLANK, accuracy=total, total=total)

    async def run() -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(groups.told(together, sample(total, turns)) for total, turns in zip(totals, delays, strict=True))
        )

    return asyncio.run(run())


@given(st.lists(st.tuples(st.none() | st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 3)), min_size=1, max_size=8))
def test_what_cannot_be_judged_gets_the_mean_of_its_group(samples: list[tuple[float | None, int]]) -> None:
    totals = [total for total, _ in samples]
    found = [one["rewards"] for one in gathered(totals, [turns for _, turns in samples])]
    known = [total for total in totals if total is not None]
    mean = sum(known) / len(known) if known else 0
    assert found == [mean if total is None else total for total in totals]
    assert sum(found) / len(found) == pytest.approx(mean)


def test_groups_do_not_mix_and_one_of_nothing_but_undecided_gets_the_mean_of_late() -> None:
    groups = Groups(Weights())

    async def sample(total: float | None) -> Reward:
        await asyncio.sleep(0)
        return replace(BLANK, accuracy=total, total=total)

    async def group(*totals: float | None) -> list[float]:
        together = object()
        told = await asyncio.gather(*(groups.told(together, sample(total)) for total in totals))
        return [one["rewards"] for one in told]

    async def run() -> list[list[float]]:
        both = await asyncio.gather(group(2, None, 1), group(None, 0, 1))
        return [*both, await group(None, None)]

    assert asyncio.run(run()) == [[2, 1.5, 1], [0.5, 0, 1], [1, 1]]


def test_nobody_waits_for_a_sample_that_failed() -> None:
    groups, together = Groups(Weights()), object()

    async def sample(fails: bool) -> Reward:
        await asyncio.sleep(0)
        if fails:
            raise RuntimeError("engine died")
        return replace(BLANK, accuracy=1, total=2)

    async def run() -> list[Any]:
        waiting = [groups.told(together, sample(fails)) for fails in (False, True, False)]
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)

    first, failed, last = asyncio.run(run())
    assert (first["rewards"], last["rewards"]) == (2, 2)
    assert isinstance(failed, RuntimeError)
