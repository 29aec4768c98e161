"""The life of a replica: start it, watch it, start it again when it is dead. Hands out no requests; the pool does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tracemill.core.errors import EngineDied, EngineError, RefusedRequest
from tracemill.core.types import Message, Request
from tracemill.factory.figures import ReplicaState
from tracemill.factory.hosting import Host
from tracemill.factory.replicas import Replica

if TYPE_CHECKING:
    from tracemill.factory.pool import Pool

PING_TIMEOUT_S = 10.0


async def live(pool: Pool, replica: Replica) -> None:
    """Until the pool closes or fails, or the replica's node has gone. What nobody expected fails the pool."""
    try:
        await _live(pool, replica)
    except Exception as error:  # noqa: BLE001 - else requests would wait for ever for a replica that nobody watches
        pool.fail(EngineError(f"{replica.host.name}: {type(error).__name__}: {error}"))


async def _live(pool: Pool, replica: Replica) -> None:
    health, host = pool.health, replica.host
    dice = random.Random(f"{health.seed} {host.name}")
    while pool.failure is None:
        probe = _probe(pool.last) if pool.has_died and pool.last is not None else None
        error = await _start(host, probe, health.hang_s)
        if error is None:
            pool.opened(replica, is_proven=probe is not None)
            await _watch(pool, replica)
        else:
            replica.reason = str(error)
            replica.failures += 1
            # What an engine says before any has worked is the user's to mend; a process that dies may be bad luck.
            is_users = not isinstance(error, EngineDied) and not pool.has_worked
            replica.is_hopeless = is_users or replica.failures >= health.give_up
        await host.end()
        if host.is_gone():
            pool.enter(replica, ReplicaState.GONE)
            return
        pool.enter(replica, ReplicaState.RESTARTING)
        pool.give_up()
        await asyncio.sleep(health.pause(replica.failures, dice))
        replica.restarts += 1


def _probe(like: Request) -> Request:
    """What a replica that was started after a death has to answer first: one token, with the usual sampling."""
    text = "1 + 1 ="
    prompt = text if isinstance(like.prompt, str) else (Message("user", text),)
    return Request("probe", prompt, replace(like.sampling, max_tokens=1))


async def _start(host: Host, probe: Request | None, hang_s: float) -> EngineError | None:
    """Start the engine and have it answer the probe. Returns why that did not work."""
    try:
        await host.start()
        if probe is not None:
            async with asyncio.timeout(hang_s):  # wait_for of Python 3.11 may swallow a cancellation
                await host.complete(probe)
    except RefusedRequest:
        return None  # that is an answer
    except EngineError as error:
        return error
    except TimeoutError:
        return EngineDied(f"it did not answer in {hang_s:.0f} s after it was started")
    except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for a replica must hear of it
        return EngineError(f"{type(error).__name__}: {error}")
    return None


async def _watch(pool: Pool, replica: Replica) -> None:
    """Look at the engine every second; returns when it is dead. An engine that hangs is called dead."""
    hang_s, looked, silent_s = pool.health.hang_s, time.monotonic(), 0.0
    timeout_s = min(PING_TIMEOUT_S, hang_s)
    while not replica.dead.is_set():
        now = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                stats = await replica.host.stats()
        except TimeoutError:
            silent_s += timeout_s  # not by the clock, which also ran while this process, or its machine, stood still
            if silent_s >= hang_s:
                pool.died(replica, EngineDied(f"it answered no ping for {hang_s:.0f} s"))
        except EngineError as error:
            pool.died(replica, error)
        except Exception as error:  # noqa: BLE001 - an engine that cannot say how it does is started again
            pool.died(replica, EngineDied(f"{type(error).__name__}: {error}"))
        else:
            replica.read(stats, now - looked)
            looked, silent_s = now, 0.0
            if stats is not None and stats.stalled_s > hang_s:
                pool.died(replica, EngineDied(f"it made no token for {stats.stalled_s:.0f} s"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pool.health.ping_s):
                await replica.dead.wait()
