"""The weights of a model folder are part of what makes a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan


def job(engine: str, model: str) -> str:
    source = {"source": "reasoning_gym", "task": "chain_sum", "count": 2}
    return make_plan(
        recipes.parse({"name": "x", "prompts": [source], "generate": {"engine": engine, "model": model}})
    ).job_id


def test_other_weights_under_the_same_path_are_another_job(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = {engine: job(engine, str(tmp_path)) for engine in ("vllm", "transformers", "fake")}
    assert job("vllm", str(tmp_path)) == before["vllm"]
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert job("vllm", str(tmp_path)) != before["vllm"]
    assert job("transformers", str(tmp_path)) != before["transformers"]
    assert job("fake", str(tmp_path)) == before["fake"]  # it loads none


def test_a_folder_without_a_model_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "passwords.txt").write_text("one")
    before = job("transformers", str(tmp_path))
    (tmp_path / "passwords.txt").write_text("two")
    assert job("transformers", str(tmp_path)) == before


@pytest.mark.parametrize(
    ("model", "expected"),
    [("smollm2-135m", "c6d47bb3873c354603821830b7c936cf"), ("owner/name", "3da4c083141e7d4ba7629e8abdae9587")],
)
def test_jobs_of_packaged_and_hub_models_are_what_they_were(model: str, expected: str) -> None:
    assert job("vllm", model) == expected
