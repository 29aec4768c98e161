"""The same recipe gives the same samples, and with the fake engine the same bytes, wherever and however it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines.exporting import export_dataset
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Watch, run_job

Sums = Callable[..., Plan]


async def shards(plan: Plan, folder: Path) -> tuple[dict[str, bytes], dict[str, int | None]]:
    """Files of the exported data set, and the seed of each trace."""
    here = settings().model_copy(update={"corpus": folder / "corpus"})
    result = await run_job(plan, here, Watch())
    corpus = Corpus.open(here.corpus)
    export_dataset(here, result.dataset.name, None, folder / "export", "parquet")
    files = {path.name: path.read_bytes() for path in (folder / "export").rglob("*.parquet")}
    return files, {row["id"]: row["seed"] for row in corpus.rows("SELECT id, seed FROM traces", {})}


@pytest.mark.parametrize(
    "strategy", ["fixed", {"adaptive": {"correct": 2, "lookahead": 64}}], ids=["fixed", "adaptive"]
)
async def test_the_same_recipe_gives_the_same_bytes(sums: Sums, tmp_path: Path, strategy: object) -> None:
    generate = {"reproducible": True, "seed": 5, "samples": 6, "strategy": strategy}
    first, seeds = await shards(sums(**generate, concurrency=1), tmp_path / "one")
    second, again = await shards(sums(**generate, concurrency=64), tmp_path / "other")
    assert first
    assert first == second
    assert seeds == again
    assert None not in seeds.values()
    assert len(set(seeds.values())) == len(seeds)
    _, others = await shards(sums(**{**generate, "seed": 6}), tmp_path / "third")
    assert not seeds.keys() & others.keys(), "another seed is another job"
