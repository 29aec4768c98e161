"""The Ray cluster: joining or starting it, running a job in it that outlives its caller. Engines: `factory.actors`."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import threading
import time
from concurrent.futures import Future
from typing import Any

from tracemill.core.errors import EngineError, SetupError

NAMESPACE = "tracemill"


_connecting = threading.Lock()
_own = False


def is_own() -> bool:
    """Whether this process started the cluster, which then ends with it."""
    return _own


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or start a local one that ends with this process. Does nothing when connected.

    Safe from any thread. Raises SetupError when ray is missing, the cluster cannot be reached, or this process is in
    another one already.
    """
    try:
        import ray
    except ImportError as error:
        raise SetupError("ray is not installed: pip install 'tracemill[ray]'") from error
    with _connecting:
        if ray.is_initialized():
            _check_joined(address)
            return
        _init_in_a_thread_that_stays(address)


def _check_joined(address: str | None) -> None:
    """A process is in one cluster. Hosts have several names, so only ports are compared."""
    import ray

    here = ray.get_runtime_context().gcs_address
    if address and (asked := re.fullmatch(r"[^/]+:(\d+)", address)) and not here.endswith(f":{asked[1]}"):
        raise SetupError(f"ray_address: this process has joined the cluster at {here}; for {address} start another one")


async def join(address: str | None) -> None:
    """`connect` from an event loop, which is not blocked, and on which handlers of SIGTERM go on working.

    Ray's core puts a handler of its own, which aborts, under that of Python, and only the main thread can put it back.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        await asyncio.to_thread(connect, address)
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _init_in_a_thread_that_stays(address: str | None) -> None:
    """Linux kills a local cluster when the thread that started it ends (PR_SET_PDEATHSIG); a server's threads do.

    In the main thread `ray.init` would put its own handler of SIGTERM, which exits, in the place of the caller's too.
    """
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


DEFAULTS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # ray 2.60 warns without it
    "RAY_worker_niceness": "0",  # Ray's 15 lets any other process take the engine's cores
}
QUIET = {
    "RAY_prestart_worker_first_driver": "0",  # a worker that has nothing to do looks for signals 100 times a second
    "RAY_enable_metrics_collection": "0",
}
"""Of a cluster on one machine, whose engine may need every core. Ray's own processes took 5.6 % of one when idle (2.60,
2 cores); with these, and no log monitor, 3.5 %."""


def _init(address: str | None) -> None:
    import ray
    import ray._private.worker

    global _own
    for name, value in (DEFAULTS if address else DEFAULTS | QUIET).items():
        os.environ.setdefault(name, value)
    where = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        ray.init(**where, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        place = f"join the Ray cluster at {address}" if address else "start a local Ray cluster"
        raise SetupError(f"cannot {place}: {str(error).splitlines()[0]}; see: ray status") from error
    _own = address is None
    if _own:
        ray._private.worker._global_node.kill_log_monitor()  # nobody reads what it sends: log_to_driver is off


LEAVING_S = 15.0
"""How long an actor of the same name may take to end after its work is done."""
STEADY_S = 60.0
"""An actor that lived so long is none that always crashes."""
MOST_PAUSE_S = 10.0


async def run_and_leave(self: Any, name: str, method: str, *arguments: Any) -> None:
    """Method that `start_detached` adds: does the work, then ends the actor for good, which frees its name."""
    import ray

    context = ray.get_runtime_context()
    if context.was_current_actor_reconstructed:
        await asyncio.sleep(_pause_after_restart(name))
    try:
        await getattr(self, method)(*arguments)
    finally:
        me = context.current_actor
        asyncio.get_running_loop().call_later(0.2, ray.kill, me)  # after this call has returned: it did not fail


def _pause_after_restart(name: str) -> float:
    """Seconds, doubled with each restart of an actor that did not live long, so that one that always crashes is cheap.

    Ray restarts without a pause. The count is kept in the cluster, for the actor's own memory is gone.
    """
    from ray.experimental import internal_kv

    key = f"tracemill/restarts/{name}"
    found = (internal_kv._internal_kv_get(key) or b"0 0").split()
    count = int(found[0]) + 1 if time.time() - float(found[1]) < STEADY_S else 0
    pause = min(MOST_PAUSE_S, 0.1 * 2.0 ** min(count, 10))
    internal_kv._internal_kv_put(key, f"{count} {time.time() + pause}".encode())
    return pause


def start_detached(name: str, kind: type, method: str, *arguments: Any, address: str | None, again: bool) -> None:
    """Run one method of a class in a detached actor that ends with it.

    Ray restarts the actor and the method whenever their process or node dies, so the method must be able to go on.
    While an actor of that name lives, nothing is started, unless `again` says that its work is done: then its end is
    waited for.
    """
    connect(address)
    import ray

    leaving = type(kind.__name__, (kind,), {"run_and_leave": run_and_leave})
    options = {"name": name, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
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
            actor.run_and_leave.remote(name, method, *arguments)
            return
