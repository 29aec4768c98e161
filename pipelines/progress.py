"""Where a job stands while samples are made: what is durable, how fast, at what cost, and when it will end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tracemill.factory.figures import PoolFigures, ReplicaFigures
from tracemill.pipelines.pace import Eta


@dataclass(frozen=True, slots=True)
class Queues:
    """Samples by where they are on their way."""

    asked: int = 0
    """At the engines, or waiting for one."""
    judging: int = 0
    recording: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands. Counts durable samples only; figures of speed and cost are of this run."""

    total: int
    """Samples that the recipe asks for; an adaptive strategy may make fewer."""
    durable: int
    """Samples on disk, those of earlier runs included."""
    new: int
    correct: int
    """Of the new ones."""
    refused: Mapping[str, int]
    """Requests that the engine will not take, by reason. They are not samples; a later run asks again."""
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    prompts: int = 0
    settled: int = 0
    """Prompts of which nothing more will be drawn."""
    queues: Queues = Queues()
    engines: tuple[PoolFigures, ...] = ()
    """The engines of the mix, in the recipe's order."""
    eta: Eta | None = None
    """None while too little is known."""

    @property
    def tokens_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds if self.seconds else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end, as expected."""
        return None if self.eta is None else self.eta.expected

    @property
    def gpu_seconds(self) -> float:
        """GPUs times the seconds that replicas held them; 0 where there are none."""
        return sum(engine.gpu_seconds for engine in self.engines)

    @property
    def tokens_per_correct(self) -> float | None:
        """What a correct trace costs in generated tokens, wrong ones paid for."""
        return self.completion_tokens / self.correct if self.correct else None

    @property
    def gpu_seconds_per_correct(self) -> float | None:
        """What a correct trace costs in GPU time."""
        return self.gpu_seconds / self.correct if self.correct else None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        eta = self.eta
        return {
            "total": self.total,
            "durable": self.durable,
            "new": self.new,
            "correct": self.correct,
            "acceptance": round(self.correct / self.new, 4) if self.new else None,
            "refused": dict(self.refused),
            "prompts": self.prompts,
            "settled": self.settled,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "tokens_per_correct": _rounded(self.tokens_per_correct),
            "gpu_seconds": round(self.gpu_seconds, 1),
            "gpu_seconds_per_correct": _rounded(self.gpu_seconds_per_correct, 3),
            "seconds": round(self.seconds, 1),
            "eta_s": None if eta is None else _rounded(eta.expected),
            "eta_low_s": None if eta is None else _rounded(eta.low),
            "eta_high_s": None if eta is None else _rounded(eta.high),
            "queues": {
                "asked": self.queues.asked, "judging": self.queues.judging, "recording": self.queues.recording,
            },
            "engines": [
                {"queued": engine.queued, "retried": engine.retried, "set_aside": engine.set_aside}
                for engine in self.engines
            ],
            "replicas": [_plain(replica) for engine in self.engines for replica in engine.replicas],
        }  # fmt: skip


def _plain(replica: ReplicaFigures) -> dict[str, Any]:
    values = asdict(replica)
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def _rounded(value: float | None, digits: int = 0) -> float | None:
    return None if value is None or math.isinf(value) else round(value, digits)
