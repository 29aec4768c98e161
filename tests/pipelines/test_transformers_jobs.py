"""Jobs on the engine in this process, with a random model that gets nothing right: all of it is kept and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines.admission import admitted
from tracemill.pipelines.engines import check_model
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Watch, run_job

Sums = Callable[..., Plan]


@pytest.fixture
def model(tmp_path: Path) -> str:
    pytest.importorskip("torch")
    from tracemill.trainers.scratch import Shape, make

    make(tmp_path / "model", Shape(layers=1, width=16, heads=2, context=512))
    return str(tmp_path / "model")


def on(model: str, **more: Any) -> dict[str, Any]:
    return {"engine": "transformers", "model": model, "max_tokens": 12, "temperature": 1.0, **more}


async def rows(plan: Plan, corpus: Path) -> tuple[list[dict[str, Any]], Any]:
    here = settings().model_copy(update={"corpus": corpus})
    result = await run_job(plan, here, Watch())
    found = Corpus.open(corpus).rows("SELECT id, model, answer, reasoning, seed, completion_tokens FROM traces", {})
    return sorted(found, key=lambda row: str(row["id"])), result


async def test_every_sample_of_a_model_that_knows_nothing_is_durable_and_malformed(
    sums: Sums, model: str, tmp_path: Path
) -> None:
    found, result = await rows(sums(20, **on(model, concurrency=32, thinking="boxed")), tmp_path / "corpus")
    assert len(found) == 80 == result.funnel.generated
    assert (result.funnel.correct, result.funnel.kept) == (0, 0)
    assert {row["model"] for row in found} == {model}
    assert {row["seed"] for row in found} == {None}
    assert all(0 < row["completion_tokens"] <= 12 for row in found)
    assert len({(row["reasoning"], row["answer"]) for row in found}) > 70, "samples of one prompt differ"
    verdicts = Corpus.open(tmp_path / "corpus").rows("SELECT outcome FROM verdicts WHERE verifier = 'format'", {})
    assert {row["outcome"] for row in verdicts} == {"wrong"}


async def test_a_reproducible_job_gives_the_same_samples_again(sums: Sums, model: str, tmp_path: Path) -> None:
    made = [
        await rows(sums(4, **on(model, concurrency=size, reproducible=True)), tmp_path / f"corpus{size}")
        for size in (1, 16)
    ]
    (first, _), (again, _) = made
    assert first == again
    assert len(first) == 16
    assert len({row["seed"] for row in first}) == 16


async def test_it_takes_its_share_of_a_mix(sums: Sums, model: str, tmp_path: Path) -> None:
    found, _ = await rows(
        sums(10, mix=[{"engine": "transformers", "model": model, "concurrency": 16}], max_tokens=12),
        tmp_path / "corpus",
    )
    assert {row["model"] for row in found} == {"fake", model}
    assert len(found) == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 2}, r"^generate\.replicas: engine transformers is one model in this process; leave it out$"),
        ({"gpus": 1}, r"^generate\.gpus: engine transformers is one model"),
        ({"model": "./nowhere"}, r"^generate\.model: nowhere is not a model folder"),
        ({"engine_options": {"dtype": "int8"}}, r"^generate\.engine_options\.dtype: .* got 'int8'"),
        ({"engine_options": {"max_num_seqs": 8}}, r"engine_options\.max_num_seqs: 'transformers' has no such option"),
    ],
)
def test_a_mistake_is_found_before_anything_is_loaded(
    sums: Sums, model: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_model(sums(**{**on(model), **changes}), settings())


def test_its_options_are_harmless_over_rest(sums: Sums, model: str) -> None:
    recipe = sums(**on(model, engine_options={"dtype": "float32"})).recipe.model_copy(update={"prompts": ()})
    assert admitted(recipe, settings()).generate.engine_options == {"dtype": "float32"}
