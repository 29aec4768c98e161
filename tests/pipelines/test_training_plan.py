"""What makes a training the same training, and what its model says that it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines.toy_training import planned, prepare

from tracemill.core.errors import InputError
from tracemill.core.settings import Settings
from tracemill.corpus.selection import Selection, find, select
from tracemill.corpus.store import Corpus
from tracemill.pipelines import model_card, training_rows
from tracemill.trainers.loop import Work
from tracemill.trainers.scratch import Shape, make

SFT: dict[str, Any] = {"sft": {"steps": 1, "learning_rate": 1e-3, "batch": 16, "per_device": 16}}
GRPO: dict[str, Any] = {"steps": 1, "learning_rate": 1e-3, "batch": 16, "per_device": 16, "samples": 8, "max_tokens": 8}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A corpus of sums, and a model."""
    return prepare(tmp_path_factory.mktemp("plans"))


@pytest.fixture
def reward_model(here: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `models/liked` with a card, in the working folder, which is the home folder too."""
    home = here.models.parent
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    folder = home / "models" / "liked"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(home / "tiny", folder)
    told = [{"dataset": "liked", "version": 1}, {"questions": "questions-1.jsonl", "rows": 1}]
    model_card.write(folder, {"trained_on": told})
    (folder / "questions-1.jsonl").write_text(json.dumps({"id": "1", "text": "Who?"}) + "\n")
    return folder


def judged(here: Settings, preference: str, **options: Any) -> Any:
    method = {"grpo": {**GRPO, "rewards": {"preference": 1.0}, "preference": preference, **options}}
    return planned(here, method, data=[{"of": "sums", "reward": "preference"}])


def test_masks_of_the_data_set_make_another_training(here: Settings) -> None:
    corpus = Corpus.open(here.corpus)
    first = find(corpus, "sums", 1)
    masked = select(corpus, first.job_id, first.policy, "sums", Selection(masks=("email",)))
    one, other = (planned(here, SFT, data=[f"sums@{version}"]) for version in (1, masked.version))
    assert one.parts[0].ids == other.parts[0].ids
    assert one.run_id != other.run_id
    assert one.folder != other.folder


def test_a_base_with_other_weights_is_another_however_its_folder_is_written(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here.models.parent)
    folder = Path("bases") / "basis"
    shutil.copytree("tiny", folder)

    def ids() -> set[str]:
        return {planned(here, SFT, model=name).run_id for name in (str(folder), f"./{folder}", str(folder.absolute()))}

    before = ids()
    assert len(before) == 1
    make(folder, Shape(layers=1, width=32, heads=2, context=256), seed=9)
    assert len(ids()) == 1
    assert before.isdisjoint(ids())


def test_a_base_without_weights_is_refused_before_the_training(here: Settings, tmp_path: Path) -> None:
    folder = shutil.copytree(here.models.parent / "tiny", tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"^train\.model: .*/empty has no weights"):
        planned(here, SFT, model=str(folder))


def test_a_reward_model_is_what_its_folder_holds(here: Settings, reward_model: Path, tmp_path: Path) -> None:
    plans = [judged(here, name) for name in ("models/liked", "./models/liked", "~/models/liked", str(reward_model))]
    assert len({plan.run_id for plan in plans}) == 1
    assert {plan.training.options.preference for plan in plans} == {str(reward_model)}
    moved = shutil.copytree(reward_model, tmp_path / "moved")
    assert judged(here, str(moved)).run_id == plans[0].run_id
    (reward_model / "more.json").write_text("{}")
    assert judged(here, "models/liked").run_id != plans[0].run_id


def test_where_completions_are_made_is_no_part_of_a_training(here: Settings) -> None:
    def run_id(**options: Any) -> str:
        return planned(here, {"grpo": {**GRPO, **options}}).run_id

    served = run_id(vllm="server", vllm_server="http://one:8000")
    assert served == run_id(vllm="server", vllm_server="http://other:8000")
    assert run_id(vllm="colocate", vllm_memory=0.5) == run_id(vllm="colocate")
    assert len({served, run_id(vllm="colocate"), run_id()}) == 3


def test_what_a_reward_model_was_trained_on_counts(here: Settings, reward_model: Path, tmp_path: Path) -> None:
    plan = judged(here, str(reward_model))
    assert model_card.joined(plan.models, plan.data) == [*model_card.trained_on(reward_model), *plan.data]
    model_card.write_questions(tmp_path, plan.questions, plan.prompts, plan.models)
    assert [file.name for file in tmp_path.iterdir()] == ["questions-1.jsonl"]
    model_card.write(reward_model, {})
    with pytest.raises(InputError, match=r"liked/tracemill\.json: does not say what the model was trained on"):
        judged(here, str(reward_model))


def test_what_is_left_out_is_counted(here: Settings, tmp_path: Path) -> None:
    def counted(method: dict[str, Any], data: list[Any]) -> training_rows.Counted:
        plan = planned(here, method, data=data)
        work = Work(tmp_path / plan.run_id)
        return training_rows.read(plan.training, plan.parts, plan.prompts, Corpus.open(here.corpus), work)

    kept = find(Corpus.open(here.corpus), "sums", 1).rows
    pairs = counted({"dpo": {**SFT["sft"]}}, ["sums@1"])
    assert 0 < pairs.made < kept
    assert pairs.made + pairs.too_long + pairs.cut_off + pairs.unpaired == kept
    asked = counted({"grpo": GRPO}, ["sums@1", "sums@1"])
    assert asked.repeated == asked.made
    assert asked.odd == asked.made % 2
    few = counted({"grpo": GRPO | {"batch": 24, "per_device": 24}}, ["sums@1"])
    assert (few.made, few.odd) == (asked.made, asked.made % 3)


def test_rows_and_shares_are_drawn_by_the_seed(here: Settings) -> None:
    def ids(seed: int = 0, **section: Any) -> tuple[str, ...]:
        return planned(here, SFT, data=[{"of": "sums@1", **section}], seed=seed).parts[0].ids

    kept, formed, every = ids(), ids(take="well_formed"), ids(take="all")
    assert set(kept) < set(formed) < set(every)
    drawn = ids(rows=10)
    assert len(drawn) == 10
    assert drawn == ids(rows=10) != ids(rows=10, seed=1)
    baseline = ids(take="all", as_many_as=["sums@1"])
    assert len(baseline) == len(kept)
    assert set(kept) != set(baseline) < set(every)
    data = [{"of": "sums@1", "share": 3}, {"of": "sums@1", "take": "all", "share": 1}]
    three, one = (part.ids for part in planned(here, SFT, data=data).parts)
    assert three == kept
    assert len(one) == round(len(kept) / 3)


def test_what_questions_are_judged_by_and_their_order_make_another_training(here: Settings, tmp_path: Path) -> None:
    def run_id(*choices: str) -> str:
        path = tmp_path / "questions.jsonl"
        rows = [{"prompt": f"Which is {at}?", "answer": "A", "choices": [one, "no"]} for at, one in enumerate(choices)]
        path.write_text("\n".join(map(json.dumps, rows)))
        source = {"source": "jsonl", "path": str(path), "verifier": "choice"}
        return planned(here, {"grpo": GRPO}, prompts=[source]).run_id

    assert run_id("x", "y") == run_id("x", "y") != run_id("x", "z")


def test_completions_that_leave_no_room_for_a_question_are_refused(here: Settings) -> None:
    message = r"^train\.method\.grpo\.max_tokens: completions of 512 tokens leave no room .* window of 256; lower it$"
    with pytest.raises(InputError, match=message):
        planned(here, {"grpo": {**GRPO, "max_tokens": 512}})


def test_grpo_asks_prompts_of_its_own_and_leaves_out_those_held_out(here: Settings) -> None:
    options = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    source = {"source": "reasoning_gym", "task": "chain_sum", "options": options}
    plan = planned(
        here,
        {"grpo": GRPO},
        prompts=[{**source, "count": 30, "seed": 3}],
        hold_out=[{**source, "count": 30, "seed": 4}],
    )
    held = planned(here, {"grpo": GRPO}, prompts=[{**source, "count": 30, "seed": 4}])
    assert 0 < len(plan.prompts) < 30
    assert not {prompt.id for prompt in plan.prompts} & {prompt.id for prompt in held.prompts}
    assert plan.parts == ()
    assert plan.data == [{"questions": f"questions-{plan.run_id[:8]}.jsonl", "rows": len(plan.prompts)}]
