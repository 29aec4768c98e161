"""The Ray cluster: joining or starting it, hosting engines in it as actors. Alone imports ray."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tracemill.core.errors import EngineError, SetupError
from tracemill.core.types import Completion, Request
from tracemill.factory.engines.vllm import VllmEngine, VllmOptions

NAMESPACE = "tracemill"


_connecting = threading.Lock()


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or start a local one that ends with this process. Does nothing when connected.

    Safe from any thread. Raises SetupError when ray is missing or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise SetupError("ray is not installed: pip install 'tracemill[ray]'") from error
    with _connecting:
        if ray.is_initialized():
            return
        if threading.current_thread() is threading.main_thread():
            _init(address)
        else:
            _init_in_a_thread_that_stays(address)


def _init_in_a_thread_that_stays(address: str | None) -> None:
    """Linux kills a local cluster when the thread that started it ends (PR_SET_PDEATHSIG); a server's threads do."""
    started: Future[None] = Future()

    def stay() -> None:
        try:
            _init(address)
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            started.set_exception(error)
        else:
            started.set_result(None)
            threading.Event().wait()

    threading.Thread(target=stay, name="ray-keeper", daemon=True).start()
    started.result()


def _init(address: str | None) -> None:
    import ray

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # ray 2.60 warns without it
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets any other process take the engine's cores
    where = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        ray.init(**where, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        place = f"join the Ray cluster at {address}" if address else "start a local Ray cluster"
        raise SetupError(f"cannot {place}: {str(error).splitlines()[0]}; see: ray status") from error


@dataclass(frozen=True, slots=True)
class RayEngine:
    """An engine in a Ray actor, as `core.types.Engine`."""

    actor: Any

    async def complete(self, request: Request) -> Completion:
        done: Completion = await _answer(self.actor.complete.remote(request))
        return done


async def _answer(reference: Any) -> Any:
    """What the actor returned; Ray's errors become ours, without Ray's remote traceback."""
    import ray.exceptions as failures

    try:
        return await reference
    except failures.RayTaskError as error:
        cause = error.cause
        raise cause if isinstance(cause, EngineError) else EngineError(f"engine failed: {cause!r}") from error
    except failures.RayActorError as error:
        raise EngineError("the engine's process died; run the same command again to go on") from error
    except failures.RayError as error:
        raise EngineError(f"Ray failed: {str(error).splitlines()[0]}; run the same command again to go on") from error


@asynccontextmanager
async def vllm_engine(options: VllmOptions, address: str | None, gpus: float | None) -> AsyncIterator[RayEngine]:
    """A vLLM replica in a Ray actor, its model loaded; it goes when the block ends.

    `gpus` is what the actor reserves; None reserves one where the cluster has any. Raises EngineError with vLLM's
    reason when it cannot start.
    """
    connect(address)
    import ray

    if gpus is None:
        gpus = min(1, ray.cluster_resources().get("GPU", 0))
    # More calls wait inside than the engine decodes at once, so that it never runs dry between two of ours.
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_concurrency=2 * options.max_num_seqs + 16)(VllmEngine)
    actor = remote.remote(options)
    try:
        await _answer(actor.start.remote())
        yield RayEngine(actor)
    finally:
        ray.kill(actor)


LEAVING_S = 15.0
"""How long an actor of the same name may take to end after its work is done."""


async def run_and_leave(self: Any, method: str, *arguments: Any) -> None:
    """Method that `start_detached` adds: does the work, then ends the actor for good, which frees its name."""
    import ray

    try:
        await getattr(self, method)(*arguments)
    finally:
        me = ray.get_runtime_context().current_actor
        asyncio.get_running_loop().call_later(0.2, ray.kill, me)  # after this call has returned: it did not fail


def start_detached(name: str, kind: type, method: str, *arguments: Any, address: str | None, again: bool) -> None:
    """Run one method of a class in a detached actor that ends with it.

    Ray restarts the actor and the method when their process or node dies, so the method must be able to go on. While an
    actor of that name lives, nothing is started, unless `again` says that its work is done: then its end is waited for.
    """
    connect(address)
    import ray

    leaving = type(kind.__name__, (kind,), {"run_and_leave": run_and_leave})
    options = {"name": name, "lifetime": "detached", "num_cpus": 0, "max_restarts": 3, "max_task_retries": 3}
    deadline = time.monotonic() + LEAVING_S
    while True:
        try:
            actor = ray.remote(**options)(leaving).remote()
        except ValueError as error:  # the name is taken
            if not again:
                return
            if time.monotonic() > deadline:
                raise EngineError(f"the actor {name} does not end; see: ray list actors") from error
            time.sleep(0.1)
        else:
            actor.run_and_leave.remote(method, *arguments)
            return
