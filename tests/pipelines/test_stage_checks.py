"""What is refused before the first stage is done: each in one line that begins with its field, and nothing that is well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError, NotFound
from tracemill.core.settings import Settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.stage_checks import check, check_here
from tracemill.pipelines.stages import StagesRecipe, at_full_size

SUMS = {"source": "reasoning_gym", "task": "chain_sum", "count": 10, "seed": 5}
FILE = {"source": "jsonl", "path": "questions.jsonl"}
BASE = {"name": "base", "scratch": {}}
LARGE = {"name": "base", "model": "owner/name"}


def ask(**more: Any) -> dict[str, Any]:
    return {"name": "ask", "run": {"prompts": [SUMS], "generate": {"engine": "fake"}, **more}}


def learn(method: Any = "sft", **more: Any) -> dict[str, Any]:
    return {"name": "learn", "train": {"model": "base", "method": method, **({"data": ["ask"]} | more)}}


def rl(**more: Any) -> dict[str, Any]:
    return {"name": "learn", "train": {"model": "base", "method": "grpo", "prompts": [SUMS], **more}}


def judge(*prompts: dict[str, Any], model: str = "learn", **more: Any) -> dict[str, Any]:
    generate = {"engine": "transformers", "model": model, **more.pop("generate", {})}
    return {"name": "judge", "evaluate": {"prompts": list(prompts), "generate": generate, **more}}


def pipeline(*stages: dict[str, Any]) -> StagesRecipe:
    return recipes.parsed({"name": "toy", "stages": list(stages)}, StagesRecipe, "toy.yaml")


OTHER = SUMS | {"seed": 900}
"""Questions that no stage is trained on."""


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([BASE, ask(), learn({"sft": {"stpes": 3}})], "learn.train.method.sft.stpes: 'sft' has no such option"),
        ([BASE, ask(), learn({"sft": {"preset": "r1_sfd"}})], "learn.train.method.sft.preset: unknown preset 'r1_sfd'"),
        ([BASE, ask(), learn({"sft": {"preset": "r1"}})], "learn.train.method.sft.preset: r1 is one of grpo, not of sft"),
        ([BASE, ask(), learn({"grpo": {"batch": 10}})], "learn.train.method.grpo.batch: 10 completions are no multiple"),
        ([BASE, rl(method={"grpo": {"vllm": "colocate"}})], "learn.train.cluster: missing; vllm: colocate in this process"),
        ([BASE, ask(), learn({"sft": {"batch": 12}})], "learn.train.method.sft.batch: 12 is no multiple of per_device"),
        ([LARGE, ask(), learn(cluster={"workers": 3})], "learn.train.method.sft.batch: 64 is no multiple of workers x"),
        ([BASE, ask(), learn(data=["ask", "old@new"])], "learn.train.data[1]: 'new' is no version of a data set"),
        ([BASE, rl(verify={"mtah": {}})], "learn.train.verify.mtah: unknown verifier 'mtah' (did you mean 'math'?)"),
        ([BASE, rl(verify={"language": {"to": 1}})], "learn.train.verify.language.to: 'language' has no such option"),
        ([BASE, rl(prompts=[SUMS | {"task": "sum"}])], "learn.train.prompts[0].task: reasoning-gym has no task 'sum'"),
        ([BASE, rl(hold_out=[FILE | {"verifier": "mats"}])], "learn.train.hold_out[0].verifier: unknown verifier"),
        ([ask(prompts=[SUMS | {"task": "chain_smu"}])], "ask.run.prompts[0].task: reasoning-gym has no task"),
        ([ask(prompts=[SUMS | {"options": {"terms": 2}}])], "ask.run.prompts[0].options: chain_sum refuses them"),
        ([ask(prompts=[SUMS, FILE | {"verifier": "maths"}])], "ask.run.prompts[1].verifier: unknown verifier 'maths'"),
        ([ask(hold_out=[SUMS | {"task": "chain_smu"}])], "ask.run.hold_out[0].task: reasoning-gym has no task"),
        ([ask(filters=["lenght"])], "ask.run.filters[0]: unknown filter 'lenght' (did you mean 'length'?)"),
        ([ask(filters=[{"length": {"least": 3}}])], "ask.run.filters[0].least: 'length' has no such option"),
        ([ask(verify={"also": ["formt"]})], "ask.run.verify.also[0]: unknown verifier 'formt'"),
        ([ask(verify={"options": {"language": {}}})], "ask.run.verify.options.language: language judges no prompt"),
        ([BASE, judge(SUMS, model="base", generate={"retry": [{"samples": 1, "top_p": 1}]})], "judge.evaluate.generate.retry: "),
        ([BASE, judge(SUMS, model="base", generate={"strategy": {"adaptive": {}}})], "judge.evaluate.generate.strategy: "),
        ([BASE, judge(SUMS, model="base", verify={"majority": {}})], "judge.evaluate.verify.majority: "),
        ([BASE, judge(SUMS, model="base", generate={"mix": [{"engine": "fake"}]})], "judge.evaluate.generate.mix: "),
    ],
)  # fmt: skip
def test_what_a_later_stage_would_refuse_is_refused_now(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        check(pipeline(*stages))
    assert str(caught.value).startswith(f"stages.{message}")
    assert "\n" not in str(caught.value)


def test_what_a_large_model_takes_is_not_refused_before_its_size_is_known() -> None:
    """Its rows go through a device one by one, those of a small one by eights."""
    check(pipeline(LARGE, ask(), learn({"sft": {"batch": 12}})))


LATER = SUMS | {"seed": 14, "count": 4}
"""The first of these is the last of `SUMS`."""


@pytest.mark.parametrize(
    "stages",
    [
        [BASE, ask(), learn(), judge(OTHER, SUMS)],
        [BASE, ask(), learn(), judge(OTHER, LATER)],
        [BASE, ask(), learn(data=["toy-ask@1"]), judge(OTHER, SUMS)],
        [BASE, rl(), judge(OTHER, SUMS)],
        [BASE, rl(hold_out=[SUMS | {"count": 9}]), judge(OTHER, SUMS)],
        [BASE, rl(), learn(model="learn", data=["other"]) | {"name": "more"}, judge(OTHER, SUMS, model="more")],
        [BASE, ask(prompts=[FILE | {"limit": 5}]), learn(), judge(OTHER, FILE)],
    ],
)
def test_a_model_is_not_evaluated_on_what_stages_trained_it_on(stages: list[dict[str, Any]]) -> None:
    with pytest.raises(
        InputError, match=r"^stages.judge.evaluate.prompts\[1\]: model \w+ is trained on these questions"
    ):
        check(pipeline(*stages))


@pytest.mark.parametrize(
    "stages",
    [
        [BASE, ask(hold_out=[SUMS | {"count": 9}, LATER]), learn(), judge(SUMS)],
        [BASE, ask(), learn(), judge(SUMS | {"seed": 15})],
        [BASE, ask(), learn(), judge(SUMS | {"options": {"min_terms": 2, "max_terms": 2}})],
        [BASE, ask(), learn(), judge(SUMS, OTHER, hold_out=[SUMS])],
        [BASE, ask(), learn(), judge(SUMS, model="base")],
        [BASE, ask(), learn(), judge(SUMS, generate={"engine": "fake"})],
        [BASE, ask(prompts=[FILE], hold_out=[FILE | {"limit": 5}]), learn(), judge(FILE | {"limit": 5})],
        [BASE, ask(prompts=[FILE]), learn(), judge(FILE | {"columns": {"text": "other"}})],
    ],
)
def test_questions_that_were_held_out_or_are_others_are_not_refused(stages: list[dict[str, Any]]) -> None:
    check(pipeline(*stages))


PIPELINES = [path for path in sorted(recipes.SHIPPED.glob("*.yaml")) if "\nstages:" in path.read_text()]


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_shipped_pipelines_are_well_at_both_sizes(path: Path) -> None:
    _, data = recipes.read(str(path))
    shipped = recipes.parsed(data, StagesRecipe, path.name)
    for one in (shipped, at_full_size(shipped)) if shipped.full else (shipped,):
        check(one)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([ask(), learn(model="bsae")], "learn.train.model: unknown model 'bsae'"),
        ([{"name": "base", "model": "./none"}], "base.model: none is not a model folder"),
        ([judge(SUMS, model="./none")], "judge.evaluate.generate.model: none is not a model folder"),
        ([BASE, rl(method={"grpo": {"rewards": {"preference": 1}, "preference": "./none"}})],
         "learn.train.method.grpo.preference: none is not a model folder"),
        ([ask(prompts=[FILE])], "ask.run.prompts[0].path: no such file or folder: /"),
        ([ask(prompts=[FILE | {"path": "/a"}, FILE | {"path": "/b"}], hold_out=[FILE | {"path": "/c"}])],
         "ask.run.prompts[0].path: no such file or folder: /a; nor /b, /c"),
        ([BASE, ask(), learn(), {"name": "rl", "train": {"model": "learn", "method": "grpo", "prompts": [SUMS]}}],
         "rl.train.method.grpo.max_tokens: completions of 1,024 tokens leave no room for a question"),
    ],
)  # fmt: skip
def test_what_is_not_on_this_machine_is_named(stages: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    toy = pipeline(*stages)
    check(toy)
    with pytest.raises(InputError) as caught:
        check_here(toy, Settings(corpus=tmp_path / "corpus"))
    assert str(caught.value).startswith(f"stages.{message}")
    assert "\n" not in str(caught.value)


def test_a_data_set_that_nothing_makes_is_named(tmp_path: Path) -> None:
    here = Settings(corpus=tmp_path / "corpus")
    check_here(pipeline(BASE, ask(), learn(data=["ask", "toy-ask@1"])), here)
    for name in ("aks", "aks@2", "ask@1"):
        with pytest.raises(NotFound, match=r"^stages.learn.train.data\[1\].of: no stage makes it; unknown dataset 'a"):
            check_here(pipeline(BASE, ask(), learn(data=["ask", name])), here)
    with pytest.raises(NotFound, match=r"^stages.learn.train.data\[0\].as_many_as: no stage makes it"):
        check_here(pipeline(BASE, ask(), learn(data=[{"of": "ask", "as_many_as": ["aks"]}])), here)


def test_files_that_are_here_are_found(tmp_path: Path) -> None:
    (tmp_path / "here.jsonl").write_text(json.dumps({"prompt": "1 + 1?", "answer": "2"}) + "\n")
    check_here(pipeline(ask(prompts=[FILE | {"path": str(tmp_path / "here.jsonl")}])), Settings(corpus=tmp_path / "c"))
