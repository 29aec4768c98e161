"""A plan of fifty sums and an in-memory ledger."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from tracemill.core.types import Engine
from tracemill.factory.local import local_pool
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import Maker
from tracemill.pipelines.generation import Generation, outcome_of
from tracemill.pipelines.line import Sample
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.progress import Progress
from tracemill.verifiers.judge import Judge


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

    def outcomes(self) -> list[dict[str, Any]]:
        return [
            {
                "prompt_id": trace.prompt_id,
                "sample": trace.sample,
                "tokens": trace.completion_tokens,
                "outcome": outcome_of(trace, verdicts).value,
            }
            for trace, verdicts in self.samples
        ]

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


@pytest.fixture
def generate() -> Callable[..., Awaitable[Progress]]:
    """Runs a generation on one engine in this process."""

    async def run(generation: Generation, engine: Engine, judge: Judge | None = None) -> Progress:
        section = generation.plan.recipe.generate
        async with local_pool(engine, section.concurrency) as pool:
            return await generation.run([Maker(pool, pool, section.model_name)], judge)

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of this session."""
    from tests.postgres_server import postgres_server

    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def jobs_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty jobs store, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/jobs.db"
    server = make_url(request.getfixturevalue("postgres"))
    name = f"jobs_{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
