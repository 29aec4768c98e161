"""Recipes: what is read, and one line that names the field for whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.pipelines import recipe as recipes

GYM = {"source": "reasoning_gym", "task": "chain_sum", "count": 2}


def changed(**parts: Any) -> dict[str, Any]:
    return {"name": "sums", "prompts": [GYM], **parts}


def test_shipped_recipes_are_valid_and_found_by_name_or_path() -> None:
    for name in ("demo", "r1_rejection"):
        assert recipes.load(name).name == name
        assert recipes.load(str(recipes.SHIPPED / f"{name}.yaml")) == recipes.load(name)


def test_short_and_long_forms_of_filters_are_the_same() -> None:
    short = recipes.parse(changed(filters=["exact_duplicates", {"length": {"min_words": 3}}]))
    long = recipes.parse(
        changed(filters=[{"name": "exact_duplicates"}, {"name": "length", "options": {"min_words": 3}}])
    )
    assert short == long


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(generate={"thinking": "r2"}), r"^recipe: generate\.thinking: unknown think format 'r2' \(.*\)$"),
        (changed(nmae="x"), r"^recipe: unknown key 'nmae' \(did you mean 'name'\?\)$"),
        (
            changed(generate={"temprature": 1}),
            r"^recipe: generate: unknown key 'temprature' \(did you mean 'temperature'\?\)$",
        ),
        (changed(prompts=[{**GYM, "tsk": 1}]), r"^recipe: prompts\[0\]: unknown key 'tsk' \(did you mean 'task'\?\)$"),
        (changed(prompts=[]), r"^recipe: prompts: Tuple should have at least 1 item"),
        (
            changed(prompts=[{"source": "csv"}]),
            r"^recipe: prompts\[0\]: Input tag 'csv' .* 'reasoning_gym', 'jsonl', 'parquet', 'datasets'",
        ),
        (
            changed(prompts=[{**GYM, "count": 0}]),
            r"^recipe: prompts\[0\]\.count: Input should be greater than 0, got 0$",
        ),
        (changed(name="No Spaces"), r"^recipe: name: String should match pattern .* got 'No Spaces'$"),
        (
            changed(generate={"thinking": "r1zero"}),
            r"^recipe: generate\.thinking: unknown think format 'r1zero' \(did you mean 'r1_zero'\?\)",
        ),
        (changed(select={"pass_rate": [0.9, 0.1]}), r"^recipe: select\.pass_rate: must be \[low, high\]"),
        (
            changed(generate={"engine_options": {"seed": 1}}),
            r"^recipe: generate: engine_options\.seed is set by generate\.seed",
        ),
        ({"name": "x"}, r"^recipe: prompts: is required"),
        (["name"], r"^recipe: a recipe is a mapping with the keys name, description, prompts"),
    ],
)
def test_what_is_wrong_is_named(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        recipes.parse(data)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_broken_yaml_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such recipe file: demmo \(did you mean 'demo'\?\)"):
        recipes.load("demmo")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\nprompts: [\n")
    with pytest.raises(InputError, match=r"broken\.yaml:3: not valid YAML"):
        recipes.load(str(broken))
