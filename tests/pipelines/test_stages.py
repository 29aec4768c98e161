"""Recipes of stages: what is refused, in one clear line; what a stage's name stands for; the full size."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.settings import Settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Result
from tracemill.pipelines.runner import Watch as JobWatch
from tracemill.pipelines.running import run_stored
from tracemill.pipelines.stage_checks import check
from tracemill.pipelines.stages import (
    Made,
    StageSection,
    StagesRecipe,
    at_full_size,
    recipe_of,
    train_section_of,
)
from tracemill.pipelines.staging import Doing, run_stages
from tracemill.pipelines.training import Watch

SUMS = {"source": "reasoning_gym", "task": "chain_sum", "count": 4}
LETTERS = {"name": "letters", "scratch": {}}
TEACH = {"name": "teach", "run": {"prompts": [SUMS], "generate": {"engine": "fake"}}}
LEARN = {"name": "learn", "train": {"model": "letters", "data": ["teach"], "method": {"sft": {"steps": 4}}}}


def pipeline(*stages: dict[str, Any], **more: Any) -> StagesRecipe:
    return recipes.parsed({"name": "toy", "stages": list(stages), **more}, StagesRecipe, "toy.yaml")


def with_train(**changes: Any) -> dict[str, Any]:
    return {"name": "learn", "train": {**LEARN["train"], **changes}}  # type: ignore[dict-item]


def test_a_name_stands_for_what_the_stage_made() -> None:
    fresh = SUMS | {"seed": 50}
    judge = {
        "name": "judge",
        "evaluate": {"prompts": [fresh], "generate": {"engine": "transformers", "model": "learn"}},
    }
    toy = pipeline(LETTERS, TEACH, LEARN, judge)
    check(toy)
    made = {
        "letters": Made("letters", "scratch", model="/m/letters"),
        "teach": Made("teach", "run", dataset="toy-teach@3"),
        "learn": Made("learn", "train", model="/m/learn"),
    }
    section = train_section_of(toy.stages[2], made)
    assert (section.model, [one.of for one in section.data]) == ("/m/letters", ["toy-teach@3"])
    recipe = recipe_of(toy, toy.stages[3], made)
    assert (recipe.name, recipe.generate.model) == ("toy-judge", "/m/learn")


def test_a_mixed_model_and_a_reward_model_are_named_by_their_stages() -> None:
    made = {"learn": Made("learn", "train", model="/m/learn"), "liked": Made("liked", "train", model="/m/liked")}
    mixed = {"engine": "fake", "mix": [{"engine": "transformers", "model": "learn"}]}
    toy = pipeline({"name": "both", "run": {"prompts": [SUMS], "generate": mixed}})
    assert recipe_of(toy, toy.stages[0], made).generate.mix[0].model == "/m/learn"
    options = {"rewards": {"preference": 1}, "preference": "liked"}
    rl = pipeline({"name": "rl", "train": {"model": "learn", "prompts": [SUMS], "method": {"grpo": options}}})
    assert train_section_of(rl.stages[0], made).method.options["preference"] == "/m/liked"


def test_a_model_that_is_no_stage_is_left_as_it_is() -> None:
    toy = pipeline({"name": "base", "model": "Qwen/Qwen2.5-3B"}, TEACH, with_train(model="base"))
    check(toy)
    assert train_section_of(toy.stages[2], {"base": Made("base", "model", model="Qwen/Qwen2.5-3B")}).model == (
        "Qwen/Qwen2.5-3B"
    )


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [{"name": "a", "scratch": {}, "run": {}}],
            "stage a: give exactly one of run, train, evaluate, scratch, model",
        ),
        ([{"name": "a"}], "stage a: give exactly one of"),
        ([LETTERS, LETTERS], "two stages are called letters"),
        ([], "at least 1 item"),
        ([{"name": "Not A Name", "scratch": {}}], r"stages\[0\].name"),
        ([{"name": "a", "scratch": {"deep": 3}}], r"stages\[0\].scratch: unknown key 'deep'"),
    ],
)
def test_what_is_no_pipeline_is_refused(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pipeline(*stages)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([LETTERS, with_train(data=["letters"])], r"train.data\[0\].of: stage letters makes no data set but a model"),
        (
            [LETTERS, TEACH, with_train(data=[{"of": "teach", "rows": 1, "as_many_as": ["teach"]}])],
            r"train: data\[0\]: give rows or as_many_as, not both",
        ),
        (
            [LETTERS, TEACH, with_train(data=[{"of": "teach", "as_many_as": ["letters"]}])],
            r"train.data\[0\].as_many_as: stage letters makes no data set but a model",
        ),
        ([TEACH, with_train(model="teach")], "stages.learn.train.model: stage teach makes no model but a data set"),
        ([LEARN, LETTERS, TEACH], "stages.learn.train.model: stage letters comes later"),
        ([LETTERS, LEARN, TEACH], r"stages.learn.train.data\[0\].of: stage teach comes later"),
        ([{"name": "a", "run": {**TEACH["run"], "name": "b"}}], "stages.a.run.name: the stage's name is its name"),  # type: ignore[dict-item]
        ([{"name": "a", "run": {"prompts": []}}], "stages.a.run: prompts"),
        ([LETTERS, TEACH, with_train(methods="sft")], "stages.learn.train: unknown key 'methods'"),
        ([{"name": "a", "scratch": {"width": 7}}], "width: 7 is no multiple of"),
        (
            [TEACH, with_train(data=[{"of": "teach", "reward": "preference"}], method="grpo")],
            "stages.learn.train: .*reward preference needs a reward model",
        ),
    ],
)
def test_a_stage_that_cannot_be_done_is_refused_before_the_first_is(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check(pipeline(*stages))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named_before_the_first_stage(tmp_path: Path) -> None:
    held = {"source": "jsonl", "path": str(tmp_path / "held.jsonl")}
    toy = pipeline(LETTERS, {"name": "ask", "run": {**TEACH["run"], "hold_out": [SUMS, held]}})  # type: ignore[dict-item]

    def none_begins(stage: StageSection, number: int, count: int) -> None:
        raise AssertionError(stage.name)

    doing = Doing(lambda plan, store: pytest.fail(plan.job_id), lambda: nullcontext(Watch()), none_begins)
    with pytest.raises(InputError, match=r"stages.ask.run.hold_out\[1\].path: no such file or folder: /.*held.jsonl"):
        run_stages(toy, Settings(corpus=tmp_path / "corpus"), doing)


def test_full_size_replaces_fields_and_stages_and_leaves_some_out() -> None:
    full = {
        "letters": {"model": "Qwen/Qwen2.5-3B"},
        "teach": {"run": {"generate": {"model": "Qwen/QwQ-32B"}}},
        "notes": None,
    }
    toy = pipeline(LETTERS, TEACH, {**TEACH, "name": "notes"}, LEARN, full=full)
    large = at_full_size(toy)
    assert [(stage.name, stage.kind) for stage in large.stages] == [
        ("letters", "model"), ("teach", "run"), ("learn", "train")
    ]  # fmt: skip
    assert large.stages[1].run == {"prompts": [SUMS], "generate": {"model": "Qwen/QwQ-32B"}}
    assert large.stages[2] == toy.stages[3]
    assert toy.stages[0].kind == "scratch"


@pytest.mark.parametrize(
    ("full", "message"),
    [
        ({"leter": {"model": "m"}}, "full: no stage is called 'leter' .did you mean 'letters'"),
        ({"letters": {"model": "m", "scratch": {}}}, "full.letters: stage letters: give exactly one of"),
        ({}, "--full: toy states no full size"),
    ],
)
def test_a_full_size_that_makes_no_pipeline_is_refused(full: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        at_full_size(pipeline(LETTERS, TEACH, LEARN, full=full))


def test_an_evaluation_that_is_refused_leaves_no_job(tmp_path: Path) -> None:
    here = Settings(
        corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db", models=tmp_path / "models",
        cache=tmp_path / "cache",
    )  # fmt: skip
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    card = {"trained_on": [{"dataset": "toy-teach", "version": 1}]}
    (tmp_path / "model" / "tracemill.json").write_text(json.dumps(card))
    ask = {"engine": "transformers", "model": str(tmp_path / "model")}
    toy = pipeline(TEACH, {"name": "judge", "evaluate": {"prompts": [SUMS], "generate": ask}})

    def job(plan: Plan, store: JobStore) -> Result:
        ending = asyncio.run(run_stored(plan, here, JobWatch(), store, "command"))
        assert ending.result is not None
        return ending.result

    with pytest.raises(InputError, match=r"^evaluation: the model was trained on \d of the 4 prompts"):
        run_stages(toy, here, Doing(job, lambda: nullcontext(Watch())))
    assert [one.name for one in JobStore(here.jobs_url).list()] == ["toy-teach"]
