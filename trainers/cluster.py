"""The training loop on several processes, on one machine or many: Ray Train's TorchTrainer around `trainers.loop`.

The work folder lies on storage that all nodes see. When a worker is lost, Ray starts the group again and the loop goes
on from the last checkpoint there.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tracemill.core.errors import EngineError, InputError, SetupError, TracemillError
from tracemill.factory.cluster import connect, is_own
from tracemill.trainers.callbacks import Report
from tracemill.trainers.loop import Work, train
from tracemill.trainers.options import Training

LOOK_S = 0.5
"""Seconds between two looks at what the first worker has logged."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a training."""

    count: int
    cpus: float = 1
    """Of each."""
    gpus: int = 0
    """Of each; 0 trains on CPUs."""
    retries: int = 3
    """How often it goes on from its last checkpoint when a worker is lost."""


def train_on_ray(
    training: Training,
    work: Work,
    report: Report,
    is_stopped: Callable[[], bool],
    workers: Workers,
    address: str | None,
) -> None:
    """Train to the end and write the model, as `loop.train` does. Blocks.

    Raises EngineError where workers are lost more often than `retries`, and what a worker refuses to do.
    """
    work = replace(work, workers=workers.count)
    _connect(address)
    if is_own():
        _check_room(workers)
    for left in (_stop(work), _refusal(work)):
        left.unlink(missing_ok=True)
    done: Future[None] = Future()
    # Aside, for in the main thread Ray would put a handler of SIGINT of its own in the place of the caller's.
    threading.Thread(target=_fit, args=(training, work, workers, done), name="ray-train", daemon=True).start()
    with _Following(_log(work), report) as following:
        while not wait([done], LOOK_S).done:
            if following.failure is not None or is_stopped():
                _stop(work).touch()
    raise_refusal(work)
    if (error := done.exception()) is not None:
        if not type(error).__module__.startswith("ray."):
            raise error
        reason = str(error).strip().splitlines()[-1]
        raise EngineError(f"training failed {workers.retries + 1} times, at last with: {reason}") from error


def _check_room(workers: Workers) -> None:
    """Ray would wait without end for what this machine does not have; another cluster may grow."""
    import ray

    here = ray.cluster_resources()
    for kind, each in (("CPU", workers.cpus), ("GPU", workers.gpus)):
        if (needed := workers.count * each) > here.get(kind, 0):
            raise SetupError(
                f"train.cluster: {workers.count} workers need {needed:g} {kind}s and this machine has "
                f"{here.get(kind, 0):g}; lower {kind.lower()}s or workers, or join a cluster: "
                "export TRACEMILL_RAY_ADDRESS=host:port"
            )


def _connect(address: str | None) -> None:
    """Ray's core puts a handler of SIGTERM of its own under Python's, and only the main thread can put it back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        connect(address)
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _fit(training: Training, work: Work, workers: Workers, done: Future[None]) -> None:
    try:
        _trainer(training, work, workers).fit()
    except BaseException as error:  # noqa: BLE001 - handed to the caller
        done.set_exception(error)
    else:
        done.set_result(None)


def _trainer(training: Training, work: Work, workers: Workers) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
    return TorchTrainer(
        _work,
        train_loop_config={"training": training, "work": work, "gpus": workers.gpus},
        torch_config=TorchConfig(backend="nccl" if workers.gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers.count, use_gpu=bool(workers.gpus), resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=f"{training.run_id[:8]}-{time.time_ns()}",  # Ray takes a known name for a run to be restored
            storage_path=str(work.folder / "ray"),
            failure_config=FailureConfig(max_failures=workers.retries),
        ),
    )


def _log(work: Work) -> Path:
    return work.folder / "figures.jsonl"


def _stop(work: Work) -> Path:
    return work.folder / "stop"


def _refusal(work: Work) -> Path:
    return work.folder / "refusal"


def raise_refusal(work: Work) -> None:
    """Raises what a worker refused to do, if one did."""
    if _refusal(work).is_file():
        refusal: TracemillError = pickle.loads(_refusal(work).read_bytes())
        raise refusal


def _work(config: dict[str, Any]) -> None:
    """In each worker. What one of them refuses is not tried again: Ray's next attempt ends at once."""
    work: Work = config["work"]
    if _refusal(work).is_file():
        return
    if not config["gpus"]:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides no GPU from workers that have reserved none
    try:
        _logged(config["training"], work)
    except (InputError, SetupError) as error:
        _refusal(work).write_bytes(pickle.dumps(error))
        raise


def _logged(training: Training, work: Work) -> None:
    with _log(work).open("a") as log:

        def write(step: int, last: int, figures: dict[str, float]) -> None:
            log.write(json.dumps([step, last, figures]) + "\n")
            log.flush()

        train(training, work, write, _stop(work).exists)


@dataclass
class _Following:
    """Reports what the workers log, as they do. What a report raises ends the training, and is raised at the end."""

    log: Path
    report: Report
    failure: Exception | None = None
    _end: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0

    def __enter__(self) -> _Following:
        self._seen = self.log.stat().st_size if self.log.is_file() else 0
        self._thread = threading.Thread(target=self._follow, name="training-log")
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self.failure is not None and kind is None:
            raise self.failure

    def _follow(self) -> None:
        try:
            while not self._end.wait(LOOK_S):
                self._read()
            self._read()
        except Exception as error:  # noqa: BLE001 - handed to the caller, whose corpus may be full
            self.failure = error

    def _read(self) -> None:
        if not self.log.is_file():
            return
        with self.log.open("rb") as log:
            log.seek(self._seen)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # the rest of it comes
                self._seen += len(line)
                self.report(*json.loads(line))
