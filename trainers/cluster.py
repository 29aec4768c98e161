"""The training loop on several processes, on one machine or many: Ray Train's TorchTrainer around `trainers.loop`.

The work folder lies on storage that all nodes see. When a worker is lost, Ray starts the group again and the loop goes
on from the last checkpoint there.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracemill.core.errors import EngineError
from tracemill.factory.cluster import connect
from tracemill.trainers.loop import Report, Work, train
from tracemill.trainers.options import Training

LOOK_S = 0.5
"""Seconds between two looks at what the first worker has logged."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a training."""

    count: int
    cpus: float = 1
    """Of each."""
    gpus: float = 0
    """Of each; 0 trains on CPUs."""
    retries: int = 3
    """How often it goes on from its last checkpoint when a worker is lost."""


def train_on_ray(training: Training, work: Work, report: Report, workers: Workers, address: str | None) -> None:
    """Train to the end and write the model. Blocks. Raises EngineError where more workers are lost than `retries`."""
    connect(address)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
    trainer = TorchTrainer(
        _work,
        train_loop_config={"training": training, "work": work},
        torch_config=TorchConfig(backend="nccl" if workers.gpus else "gloo"),
        scaling_config=ScalingConfig(workers.count, use_gpu=bool(workers.gpus), resources_per_worker=resources),
        run_config=RunConfig(
            name=f"{training.run_id[:8]}-{time.time_ns()}",  # Ray takes a known name for a run to be restored
            storage_path=str(work.folder / "ray"),
            failure_config=FailureConfig(max_failures=workers.retries),
        ),
    )
    with _Following(_log(work), report):
        try:
            trainer.fit()
        except Exception as error:
            if not type(error).__module__.startswith("ray."):
                raise
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"training failed {workers.retries + 1} times, at last with: {reason}") from error


def _log(work: Work) -> Path:
    return work.folder / "figures.jsonl"


def _work(config: dict[str, Any]) -> None:
    """In each worker."""
    work: Work = config["work"]
    with _log(work).open("a") as log:

        def write(step: int, last: int, figures: dict[str, float]) -> None:
            log.write(json.dumps([step, last, figures]) + "\n")
            log.flush()

        train(config["training"], work, write)


@dataclass
class _Following:
    """Reports what the workers log, as they do."""

    log: Path
    report: Report
    _end: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0

    def __enter__(self) -> None:
        self._seen = self.log.stat().st_size if self.log.is_file() else 0
        self._thread = threading.Thread(target=self._follow, name="training-log")
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._end.wait(LOOK_S):
            self._read()
        self._read()

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
