"""A plan of fifty sums and an in-memory ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.generation import Sample
from tracemill.pipelines.plan import Plan, make_plan


@dataclass
class MemoryLedger:
    """Keeps samples in memory as the ledger keeps them on disk."""

    samples: list[Sample] = field(default_factory=list)
    fails_after: int | None = None
    """Number of samples after which `record` raises."""
    error: Exception | None = None

    @property
    def finished(self) -> set[str]:
        return {trace.id for trace, _ in self.samples}

    def record(self, samples: list[Sample]) -> None:
        if self.fails_after is not None and len(self.samples) >= self.fails_after:
            assert self.error is not None
            raise self.error
        self.samples.extend(samples)


@pytest.fixture
def memory_ledger() -> type[MemoryLedger]:
    return MemoryLedger


@pytest.fixture
def sums(tmp_path: Path) -> Callable[..., Plan]:
    def make(prompts: int = 50, **generate: object) -> Plan:
        path = tmp_path / "sums.jsonl"
        rows = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(prompts)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = {"source": "jsonl", "path": str(path)}
        settings = {"engine": "fake", "samples": 4, "concurrency": 8, **generate}
        return make_plan(recipes.parse({"name": "sums", "prompts": [source], "generate": settings}))

    return make
