"""The pool without Ray: replicas that die, hang, refuse, come and go, and what becomes of their requests."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factory.scripted_host import QUICK, ScriptedHost, ask, names, pool_of, request

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest
from tracemill.core.types import Completion, Request
from tracemill.factory.engines.fake import FakeEngine
from tracemill.factory.figures import EngineStats, ReplicaState
from tracemill.factory.local import local_pool
from tracemill.factory.replicas import Flight, Health


async def test_each_caller_gets_its_own_answer_and_replicas_share_the_work() -> None:
    hosts = [ScriptedHost(f"h{k}") for k in range(3)]
    async with pool_of(*hosts) as pool:
        assert pool.wanted == 3 * (4 + 8)
        done = await ask(pool, *names(300))
    assert [one.request_id for one in done] == names(300)
    assert all(80 <= len(host.asked) <= 120 for host in hosts)
    assert all(host.most <= 12 for host in hosts), "no more than it decodes at once, and the slack"
    assert all(host.left for host in hosts)


async def test_what_has_no_room_waits_its_turn_in_order() -> None:
    host = ScriptedHost("h", concurrency=1)
    async with pool_of(host) as pool:
        running = asyncio.gather(*(pool.complete(request(name)) for name in names(40)))
        await asyncio.sleep(0)
        assert pool.figures().queued == 40 - 9
        await running
    assert host.asked == names(40)


async def test_samples_of_one_prompt_stay_together_while_loads_are_near() -> None:
    hosts = [ScriptedHost(f"h{k}", concurrency=64, seconds=0.01) for k in range(4)]
    async with pool_of(*hosts) as pool:
        wanted = [request(f"{prompt}-{k}", f"p{prompt}") for prompt in range(24) for k in range(8)]
        done = await asyncio.gather(*(pool.complete(one) for one in wanted))
    places: dict[str, set[str]] = {}
    for asked, one in zip(wanted, done, strict=True):
        places.setdefault(asked.prompt_id, set()).add(one.text)
    assert Counter(map(len, places.values())).most_common(1)[0][0] == 1
    assert sum(len(found) == 1 for found in places.values()) >= 20
    assert max(len(host.asked) for host in hosts) <= 64


async def test_a_dead_replicas_requests_go_to_others_and_it_comes_back() -> None:
    first, second = ScriptedHost("a", seconds=0.02), ScriptedHost("b", seconds=0.02)
    async with pool_of(first, second) as pool:
        running = asyncio.gather(*(pool.complete(request(name)) for name in names(20)))
        await asyncio.sleep(0.01)
        first.die(EngineDied("out of memory"))
        done = await running
        await asyncio.sleep(0.05)
        figures = pool.figures()
    assert [one.request_id for one in done] == names(20)
    assert sum((first.answered + second.answered).values()) == 20 + first.answered["probe"], "none was paid twice"
    assert first.starts == 2
    assert first.answered["probe"] == 1, "an engine that comes back has to answer something first"
    assert 0 < figures.retried <= 12
    assert {one.name: (one.state, one.restarts, one.reason) for one in figures.replicas} == {
        "a": (ReplicaState.READY, 1, "out of memory"),
        "b": (ReplicaState.READY, 0, ""),
    }


async def test_an_idle_replicas_death_is_found_by_its_pings() -> None:
    host = ScriptedHost("h")
    async with pool_of(host) as pool:
        await ask(pool, "warm")
        host.die(EngineDied("killed"))
        await asyncio.sleep(0.1)
        assert host.starts == 2
        assert (await ask(pool, "after"))[0].request_id == "after"


@pytest.mark.parametrize("how", ["it makes no token", "it answers no ping"])
async def test_a_hung_replica_is_killed_and_its_requests_are_asked_again(how: str) -> None:
    class Silent(ScriptedHost):
        async def stats(self) -> EngineStats | None:
            if self.hangs and how == "it answers no ping":
                await asyncio.sleep(3600)
            return replace(await super().stats() or EngineStats(), stalled_s=9.0 if self.hangs else 0.0)

    host = Silent("h")
    async with pool_of(host) as pool:
        await ask(pool, "warm")
        host.hangs = True
        done = await ask(pool, "a", "b")
        reason = pool.figures().replicas[0].reason
    assert [one.request_id for one in done] == ["a", "b"]
    assert host.starts == 2
    assert how.split()[-1] in reason


async def test_a_poison_request_is_set_aside_and_its_neighbours_are_not() -> None:
    hosts = [ScriptedHost(f"h{k}", concurrency=16, is_poison=lambda one: one.id == "r7") for k in range(2)]
    async with pool_of(*hosts) as pool:
        done = await asyncio.gather(*(pool.complete(request(name)) for name in names(200)), return_exceptions=True)
        figures = pool.figures()
    refused = [name for name, one in zip(names(200), done, strict=True) if isinstance(one, BaseException)]
    assert refused == ["r7"]
    assert isinstance(done[7], RefusedRequest)
    assert str(done[7]).endswith("times while it ran this request: segmentation fault")
    assert figures.set_aside == 1
    assert 4 <= sum(host.starts - 1 for host in hosts) <= 6, "quickly found"


async def test_all_samples_of_a_poison_prompt_are_refused_once_one_has_proved_it() -> None:
    host = ScriptedHost("h", concurrency=16, is_poison=lambda one: one.prompt_id == "bad")
    async with pool_of(host) as pool:
        wanted = [request(f"bad-{k}", "bad") for k in range(8)] + [request(name, name) for name in names(40)]
        done = await asyncio.gather(*(pool.complete(one) for one in wanted), return_exceptions=True)
        deaths = host.starts
        with pytest.raises(RefusedRequest, match="segmentation fault"):
            await pool.complete(request("bad-9", "bad"))
        assert host.starts == deaths, "nothing is asked that is known to kill"
    assert all(isinstance(one, RefusedRequest) for one in done[:8])
    assert [one.request_id for one in done[8:] if isinstance(one, Completion)] == names(40)
    assert deaths <= 10


async def test_deaths_of_nodes_are_held_against_nobody() -> None:
    host = ScriptedHost("h", seconds=0.01)
    async with pool_of(host) as pool:
        running = asyncio.create_task(pool.complete(request("r")))
        for _ in range(12):
            while "r" not in host.inside:  # noqa: ASYNC110 - the scripted host has no event for it
                await asyncio.sleep(0.001)
            host.die(EngineDied("the node died", with_node=True))
            await asyncio.sleep(0.001)
        assert (await running).request_id == "r"
        assert pool.figures().set_aside == 0


async def test_a_refused_request_goes_straight_to_its_caller() -> None:
    class Strict(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            if request.id == "long":
                raise RefusedRequest("too long")
            return await super().complete(request)

    async with local_pool(Strict(), 4) as pool:
        with pytest.raises(RefusedRequest, match="too long"):
            await pool.complete(request("long"))
        await pool.complete(request("short"))
        assert (pool.figures().set_aside, pool.figures().retried) == (0, 0)


async def test_a_request_that_an_engine_fails_at_does_not_cost_the_others_anything() -> None:
    """A server that times out at one long request is not dead: nothing that runs there may be paid for twice."""

    class Server(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            if request.id == "r7":
                raise EngineError("the server failed 6 times, at last with: no answer within 600 s")
            return await super().complete(request)

    server = Server(seconds=0.01)
    async with local_pool(server, 8, QUICK) as pool:
        done = await asyncio.gather(*(pool.complete(request(name)) for name in names(60)), return_exceptions=True)
        figures = pool.figures()
    assert isinstance(done[7], RefusedRequest)
    assert str(done[7]).startswith("the engine failed 3 times at this request: the server failed 6 times")
    assert sorted(server.completed) == sorted(set(names(60)) - {"r7"}), "each once"
    assert (figures.set_aside, figures.replicas[0].restarts) == (1, 0)


async def test_an_engine_that_never_worked_fails_at_once_with_its_reason() -> None:
    host = ScriptedHost("h", cannot_start=[EngineError("no such model")] * 9)
    with pytest.raises(EngineError, match="no such model"):
        async with pool_of(host):
            raise AssertionError("unreachable")
    assert host.starts == 1


async def test_a_process_that_dies_in_its_first_start_is_tried_again() -> None:
    host = ScriptedHost("h", cannot_start=[EngineDied("killed")] * 3)
    async with pool_of(host) as pool:
        await ask(pool, "r")
    assert host.starts == 4


async def test_when_no_replica_comes_back_the_callers_hear_why() -> None:
    host = ScriptedHost("h")
    async with pool_of(host) as pool:
        await ask(pool, "warm")
        host.cannot_start = [EngineError("the GPU fell off the bus")] * 99
        host.die(EngineDied("killed"))
        running = [asyncio.create_task(pool.complete(request(name))) for name in names(20)]
        done = await asyncio.gather(*running, return_exceptions=True)
        assert {str(one) for one in done} == {"the GPU fell off the bus"}
        assert all(type(one) is EngineError for one in done)
        assert host.starts == 1 + QUICK.give_up
        with pytest.raises(EngineError, match="fell off the bus"):
            await ask(pool, "later")


async def test_one_replica_that_never_starts_does_not_stop_the_others() -> None:
    good, bad = ScriptedHost("good"), ScriptedHost("bad", cannot_start=[EngineError("no such file")] * 999)
    async with pool_of(bad, good) as pool:
        done = await ask(pool, *names(100))
        states = {one.name: one.state for one in pool.figures().replicas}
    assert {one.text for one in done} == {"by good"}
    assert states["bad"] is ReplicaState.RESTARTING


async def test_a_local_engine_that_is_dead_for_good_ends_it() -> None:
    health = replace(QUICK, give_up=3)
    async with local_pool(FakeEngine(dies_after=30), 8, health) as pool:
        done = await asyncio.gather(*(pool.complete(request(name)) for name in names(60)), return_exceptions=True)
    assert sum(isinstance(one, Completion) for one in done) == 30
    assert {str(one) for one in done if isinstance(one, EngineError)} == {"the fake engine died after 30 completions"}


def test_pauses_grow_are_scattered_and_have_a_limit() -> None:
    health = Health()
    pauses = [health.pause(k, random.Random(k)) for k in range(1, 12)]
    assert pauses == [health.pause(k, random.Random(k)) for k in range(1, 12)]
    for failures, pause in enumerate(pauses, 1):
        middle = min(60, 2 ** (failures - 1))
        assert 0.5 * middle <= pause <= 1.5 * middle
    assert health.pause(10_000, random.Random(1)) <= 90


async def test_cancelling_stops_the_request_in_its_engine_and_frees_the_place() -> None:
    host = ScriptedHost("h", concurrency=1, seconds=0.01)
    async with pool_of(host) as pool:
        running = [asyncio.create_task(pool.complete(request(name))) for name in names(20)]
        await asyncio.sleep(0.001)
        for task in running[:15]:
            task.cancel()
        done = await asyncio.gather(*running, return_exceptions=True)
        assert pool.figures().queued == 0
        assert not next(iter(pool.replicas.values())).aboard
    assert all(isinstance(one, asyncio.CancelledError) for one in done[:15])
    assert [one.request_id for one in done[15:] if isinstance(one, Completion)] == names(20)[15:]
    assert sorted(host.cancelled) == sorted(names(9)), "those that wait in the pool were never asked"


async def test_cancelling_while_the_replica_dies_is_still_cancelling() -> None:
    host = ScriptedHost("h", seconds=0.01)
    async with pool_of(host) as pool:
        running = [asyncio.create_task(pool.complete(request(name))) for name in names(4)]
        await asyncio.sleep(0.001)
        pool.died(pool.replicas["h"], EngineDied("killed"))
        running[0].cancel()
        done = await asyncio.gather(*running, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert all(isinstance(one, Completion) for one in done[1:])
    assert all(task.cancelling() == 0 for task in running[1:]), "its own cancellation is taken back"


async def test_it_grows_and_shrinks_while_it_runs() -> None:
    first, second = ScriptedHost("a", concurrency=1, seconds=0.005), ScriptedHost("b", concurrency=1, seconds=0.005)
    async with pool_of(first) as pool:
        running = asyncio.gather(*(pool.complete(request(name)) for name in names(80)))
        await asyncio.sleep(0.001)
        pool.add(second)
        await asyncio.wait_for(pool.changed(9), 1)
        assert pool.wanted == 18
        first.node_left = True
        first.die(EngineDied("the node died", with_node=True))
        await running
        assert pool.wanted == 9
        assert pool.figures().replicas[0].state is ReplicaState.GONE
        seconds = pool.figures().replicas[0].ready_s
        pool.add(replace(first, node_left=False, cannot_start=[]))
        await asyncio.wait_for(pool.changed(9), 1)
        assert pool.wanted == 18
        assert pool.figures().replicas[0].ready_s > seconds > 0, "what it used before still counts"
    figures = pool.figures()
    assert figures.gpu_seconds == pytest.approx(figures.replica_seconds)
    assert all(one.state is ReplicaState.GONE for one in figures.replicas)


async def test_figures_of_an_engine_that_counts_nothing_come_from_the_pool() -> None:
    class Mute:
        async def complete(self, request: Request) -> Completion:
            await asyncio.sleep(0.01)
            return Completion(request.id, "x", 10, 30, "stop")

    async with local_pool(Mute(), 4, QUICK) as pool:
        await ask(pool, *names(60))
        await asyncio.sleep(0.03)
        (one,) = pool.figures().replicas
    assert (one.prompt_tokens, one.completion_tokens) == (600, 1800)
    assert one.completion_tokens_per_s > one.prompt_tokens_per_s > 0
    assert 0 < one.busy_share <= 1
    assert one.busy_s <= one.ready_s


@given(
    seed=st.integers(0, 2**32),
    replicas=st.integers(1, 4),
    node_deaths=st.integers(0, 12),
    kills_and_poisons=st.sampled_from([(0, 0), (3, 0), (1, 1), (1, 2), (0, 3)]),
)
def test_whatever_is_killed_each_request_is_answered_once_and_only_poison_is_set_aside(
    seed: int, replicas: int, node_deaths: int, kills_and_poisons: tuple[int, int]
) -> None:
    """Fewer random kills than it takes to prove a cause: then nobody else may be refused, and nobody waits for ever."""
    dice = random.Random(seed)
    kills, poisons = kills_and_poisons
    poison = set(dice.sample(names(60), poisons))
    deaths = [True] * node_deaths + [False] * kills
    dice.shuffle(deaths)

    async def run() -> tuple[list[Completion | BaseException], list[ScriptedHost]]:
        hosts = [
            ScriptedHost(f"h{k}", concurrency=dice.choice([1, 4, 16]), is_poison=lambda one: one.id in poison)
            for k in range(replicas)
        ]

        async def kill() -> None:
            for with_node in deaths:
                await asyncio.sleep(dice.random() * 0.01)
                dice.choice(hosts).die(EngineDied("killed", with_node))

        async with pool_of(*hosts, health=replace(QUICK, give_up=99)) as pool:
            killer = asyncio.create_task(kill())
            running = [asyncio.create_task(pool.complete(request(name))) for name in names(60)]
            done = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 20)
            await killer
            assert not pool.figures().queued
            assert not any(one.aboard for one in pool.replicas.values())
        return done, hosts

    done, hosts = asyncio.run(run())
    for name, one in zip(names(60), done, strict=True):
        assert isinstance(one, RefusedRequest if name in poison else Completion), f"{name}: {one!r}"
    answered = sum((host.answered for host in hosts), Counter[str]())
    assert all(answered[name] == (name not in poison) for name in names(60))


def test_a_flight_is_known_by_itself_not_by_its_content() -> None:
    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert Flight(request("a"), task, 0) != Flight(request("a"), task, 0)

    asyncio.run(run())
