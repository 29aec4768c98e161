"""Does one piece of work for each of many parts: on all cores of this machine, or on the nodes of a Ray cluster.

Results come in the order of the parts, and only a few parts are under way at once, so memory does not grow with their
number. The first part is done in the calling process, and so is a single one: processes take a second to start.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any, TypeVar

from tracemill.core.errors import SetupError, TracemillError
from tracemill.factory.cluster import connect

Part = TypeVar("Part")
Result = TypeVar("Result")
Submit = Callable[[Part], Future[Result]]

PARENT_S = 2.0
"""How often a process looks whether its parent lives."""
AHEAD = 3
"""Parts a worker that are under way: one is worked on, the others are on their way to it or back."""


def spread(
    work: Callable[[Part], Result], parts: Iterable[Part], workers: int | None = None, address: str | None = None
) -> Iterator[Result]:
    """`work` of each part, in their order. Both, and the results, must be picklable.

    `workers` are processes, by default one a core; with `address` the tasks of a Ray cluster, by default one a core of
    it. An error of the work, or of `parts`, is raised where its turn comes. Raises SetupError where a process was
    killed or the cluster cannot be joined.
    """
    rest = iter(parts)
    for first in rest:
        yield work(first)
        break
    second = next(rest, None)
    if second is None:
        return
    with ExitStack() as opened:
        if address is not None:
            submit, count = _on_ray(work, workers, address)
        elif workers == 1 or _cores() == 1:
            yield work(second)
            yield from map(work, rest)
            return
        else:
            submit, count = _on_cores(work, workers, opened)
        yield from _in_order(submit, _after(second, rest), AHEAD * count)


def _after(first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from rest


def _in_order(submit: Submit[Part, Result], parts: Iterable[Part], most: int) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        for part in parts:
            waiting.append(submit(part))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise SetupError(
            "a worker process ended: killed (out of memory?), or started by a script without if __name__ == '__main__'"
        ) from error
    except Exception as error:
        if isinstance(cause := getattr(error, "cause", None), TracemillError):  # Ray wraps the error of a task
            raise cause from None
        if type(error).__module__.startswith("ray."):
            raise SetupError(f"a Ray worker failed: {str(error).splitlines()[0]}; see: ray status") from error
        raise
    finally:
        for one in waiting:
            one.cancel()


def _on_cores(
    work: Callable[[Part], Result], workers: int | None, opened: ExitStack
) -> tuple[Submit[Part, Result], int]:
    count = workers or _cores()
    # Spawned, not forked: this process has threads.
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (work, os.getpid()))
    opened.callback(pool.shutdown, wait=True, cancel_futures=True)
    return lambda part: pool.submit(_do, part), count


_work: Callable[[Any], Any]


def _begin(work: Callable[[Any], Any], parent: int) -> None:
    """In each process, once: what plugins load by the way is loaded once too."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its processes
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A process whose parent was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    os._exit(1)


def _do(part: Any) -> Any:
    return _work(part)


def _on_ray(work: Callable[[Part], Result], workers: int | None, address: str) -> tuple[Submit[Part, Result], int]:
    connect(address)
    import ray

    task = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_call)
    shared = ray.put(work)
    return lambda part: task.remote(shared, part).future(), workers or int(ray.cluster_resources().get("CPU", 1))


def _call(work: Callable[[Part], Result], part: Part) -> Result:
    return work(part)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
