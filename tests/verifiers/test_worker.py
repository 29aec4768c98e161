"""The killable worker: deadlines, crashes, and every place that a verifier is called from. Time and pids are real."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tracemill.verifiers.worker import CallFailed, Pool, TimeLimit, WorkerDied


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(warm=os.getpid, size=2)
    yield made
    made.close()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_call_returns_its_result_from_another_process(pool: Pool) -> None:
    assert pool.call(operator.add, 1, 2, seconds=5) == 3
    assert pool.call(os.getpid, seconds=5) != os.getpid()


def test_a_deadline_kills_the_runner_and_the_next_call_works(pool: Pool) -> None:
    pid = pool.call(os.getpid, seconds=5)
    started = time.monotonic()
    with pytest.raises(TimeLimit):
        pool.call(time.sleep, 60, seconds=0.2)
    assert time.monotonic() - started < 5
    assert pool.call(operator.add, 1, 2, seconds=5) == 3
    assert pool.call(os.getpid, seconds=5) != pid
    _wait_until(lambda: not _alive(pid))


def test_a_deadline_counts_cpu_time_and_the_clock_only_in_the_end(pool: Pool) -> None:
    """On a loaded machine a call waits for its turn; that must not turn a verdict into UNDECIDED."""
    pool.call(time.sleep, 0.5, seconds=0.2)
    started = time.monotonic()
    with pytest.raises(TimeLimit):
        pool.call(sum, range(10**12), seconds=0.2)
    assert time.monotonic() - started < 5


def test_a_process_that_is_killed_costs_no_verdict(pool: Pool, tmp_path: Path) -> None:
    """The call is made once more; only what dies again has itself to blame."""
    log = tmp_path / "log"
    code = (
        f"import os; open({str(log)!r}, 'a').write('x'); os.path.getsize({str(log)!r}) > 1 or os.kill(os.getpid(), 9)"
    )
    pool.call(exec, code, seconds=5)
    assert log.read_text() == "xx"


def test_the_pool_grows_with_the_machine() -> None:
    assert Pool(warm=os.getpid)._size == max(2, (os.cpu_count() or 1) // 2)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (os._exit, (0,)),
        (signal.raise_signal, (signal.SIGSEGV,)),
        (signal.raise_signal, (signal.SIGKILL,)),
        (operator.mul, (b"x" * 1_000_000, 100_000)),
    ],
    ids=["exit", "segmentation fault", "kill", "memory"],
)
def test_a_dead_runner_costs_one_call(pool: Pool, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with pytest.raises(WorkerDied) as caught:
        pool.call(function, *args, seconds=5)
    assert caught.value.reason == "worker_died"
    assert pool.call(operator.add, 1, 2, seconds=5) == 3


@pytest.mark.parametrize(
    ("function", "args", "reason"),
    [
        (operator.truediv, (1, 0), "error: ZeroDivisionError: division by zero"),
        (sys.exit, (3,), "error: SystemExit: 3"),
        (Path.open, (Path(os.devnull),), "error: TypeError: cannot pickle '_io.TextIOWrapper' object"),
    ],
)
def test_whatever_a_call_raises_is_one_error(
    pool: Pool, function: Callable[..., Any], args: tuple[Any, ...], reason: str
) -> None:
    pid = pool.call(os.getpid, seconds=5)
    with pytest.raises(CallFailed) as caught:
        pool.call(function, *args, seconds=5)
    assert caught.value.reason == reason
    assert pool.call(os.getpid, seconds=5) == pid


def test_runners_do_not_hear_ctrl_c(pool: Pool) -> None:
    pid = pool.call(os.getpid, seconds=5)
    os.kill(pid, signal.SIGINT)
    assert pool.call(os.getpid, seconds=5) == pid
    assert os.getpgid(pid) != os.getpgid(0)


def test_ctrl_c_in_the_caller_ends_the_call_and_not_the_pool(pool: Pool) -> None:
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pool.call(time.sleep, 60, seconds=60)
    timer.join()
    assert pool.call(operator.add, 1, 2, seconds=5) == 3


def test_a_killed_zygote_is_replaced() -> None:
    pool = Pool(warm=os.getpid, size=1)
    assert pool.call(operator.add, 1, 2, seconds=5) == 3
    assert pool._zygote is not None
    pool._zygote.kill()
    pool._zygote.wait()
    pool._idle.pop().close()
    assert pool.call(operator.add, 1, 2, seconds=5) == 3
    pool.close()


def test_imports_that_fail_are_told() -> None:
    pool = Pool(warm=os.abort)
    with pytest.raises(WorkerDied, match="worker_died"):
        pool.call(operator.add, 1, 2, seconds=5)
    pool = Pool(warm=json.loads)  # type: ignore[arg-type]
    with pytest.raises(WorkerDied, match="worker_died: TypeError"):
        pool.call(operator.add, 1, 2, seconds=5)


def test_threads_share_the_pool(pool: Pool) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: results.append(pool.call(operator.mul, i, i, seconds=30)))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [i * i for i in range(20)]
    assert len(pool._idle) <= 2


def test_a_pool_started_in_a_thread_outlives_the_thread() -> None:
    pool = Pool(warm=os.getpid)
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(pool.call(os.getpid, seconds=5)))
    thread.start()
    thread.join()
    assert pool.call(os.getpid, seconds=5) == pids[0]
    pool.close()


def test_one_slow_call_does_not_hold_up_the_others(pool: Pool) -> None:
    slow = threading.Thread(target=lambda: pool.call(time.sleep, 0.8, seconds=30))
    slow.start()
    time.sleep(0.1)
    assert pool.call(operator.add, 1, 2, seconds=5) == 3
    assert slow.is_alive()
    slow.join()


async def test_calls_from_an_event_loop(pool: Pool) -> None:
    calls = (asyncio.to_thread(pool.call, operator.mul, i, i, seconds=30) for i in range(10))
    assert await asyncio.gather(*calls) == [i * i for i in range(10)]


def _call_in_child(pool: Pool, pipe: Any) -> None:
    pipe.send(pool.call(os.getpid, seconds=30))


def test_a_forked_daemonic_child_has_its_own_runner(pool: Pool) -> None:
    mine = pool.call(os.getpid, seconds=5)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_call_in_child, args=(pool, theirs), daemon=True)
    child.start()
    pid = ours.recv()
    child.join()
    assert pid != mine
    assert pool.call(os.getpid, seconds=5) == mine
    _wait_until(lambda: not _alive(pid))


@pytest.mark.parametrize("end", ["pass", "os._exit(1)", "os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("busy", [False, True])
def test_no_process_is_left_when_the_parent_ends(end: str, busy: bool) -> None:
    code = (
        "import os, threading, time; from tracemill.verifiers.worker import Pool\n"
        "pool = Pool(warm=os.getpid)\n"
        "runner = pool.call(os.getpid, seconds=5)\n"
        f"busy = {busy} and threading.Thread(target=pool.call, args=(time.sleep, 60), kwargs=dict(seconds=60), daemon=True)\n"
        "busy and (busy.start(), time.sleep(0.2))\n"
        "print(pool._zygote.pid, runner, os.getppid(), flush=True)\n"
        f"{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    zygote, runner, _ = map(int, done.stdout.split())
    assert "Traceback" not in done.stderr
    _wait_until(lambda: not _alive(zygote) and not _alive(runner))


@pytest.mark.ray
def test_verdicts_inside_ray_actors() -> None:
    import ray

    from tracemill.factory.cluster import connect

    class Sync:
        def judge(self, answers: list[str]) -> list[str]:
            import tracemill

            return [
                str(verdict.outcome)
                for verdict in tracemill.verify_many("math", answers, ["\\log\\sqrt{8}"] * len(answers))
            ]

    class Async:
        async def judge(self, answers: list[str]) -> list[str]:
            import tracemill

            return [
                str(verdict.outcome)
                for verdict in tracemill.verify_many("math", answers, ["\\log\\sqrt{8}"] * len(answers))
            ]

    answers = ["\\log(2\\sqrt{2})", "\\log 3", "\\boxed{\\log((10^9)!)}", "\\boxed{}"]
    connect(None)
    for actor, options in ((Sync, {}), (Sync, {"max_concurrency": 4}), (Async, {})):
        handle = ray.remote(num_cpus=0)(actor).options(**options).remote()
        for outcomes in ray.get([handle.judge.remote(answers) for _ in range(3)], timeout=120):
            assert outcomes == ["correct", "wrong", "undecided", "unparsed"], (actor, options)
        ray.kill(handle)
