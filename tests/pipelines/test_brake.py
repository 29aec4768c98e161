"""A brake ends its block and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from tracemill.pipelines.brake import Brake


async def test_a_pulled_brake_ends_the_block_after_its_clean_up_and_what_follows_runs() -> None:
    brake, done = Brake(), []
    asyncio.get_running_loop().call_later(0.01, brake.pull)
    async with brake.block():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")
    await asyncio.sleep(0)
    assert (done, brake.has_ended) == (["cleaned up"], True)
    brake.pull()
    async with brake.block():
        await asyncio.sleep(0)
        done.append("never")
    assert done == ["cleaned up"], "it stays pulled"


async def test_a_brake_that_comes_too_late_does_nothing() -> None:
    brake = Brake()
    async with brake.block():
        await asyncio.sleep(0)
    brake.pull()
    await asyncio.sleep(0)
    assert not brake.has_ended


async def test_an_error_and_a_time_limit_of_the_block_are_raised() -> None:
    brake = Brake()
    for error in (ValueError, TimeoutError):
        with pytest.raises(error):
            async with brake.block():
                raise error
    assert not brake.has_ended


async def test_cancellation_of_the_task_is_stronger() -> None:
    brake, inner = Brake(), Brake()

    async def work() -> None:
        async with brake.block(), inner.block():
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    brake.pull()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_outer_brake_ends_both_blocks() -> None:
    outer, inner = Brake(), Brake()
    asyncio.get_running_loop().call_later(0.01, inner.pull)
    asyncio.get_running_loop().call_later(0.01, outer.pull)
    after = []
    async with outer.block():
        async with inner.block():
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        after.append("inner ended, outer not")
    assert (outer.has_ended, after) == (True, [])
