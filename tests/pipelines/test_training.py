"""Trainings of a toy model: each method to its end, the same weights by the same seed, on from where one was killed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines.toy_training import KILLED, losses, planned, prepare, trained

from tracemill.core.errors import CorpusError, EngineError, InputError, Locked, SetupError, Stopped
from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines.training import Plan, Trained, Watch
from tracemill.trainers.loop import Work

# TRL imports vLLM where that is installed, which imports what torch 2.13 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

SFT: dict[str, Any] = {"steps": 4, "learning_rate": 3e-3, "batch": 16, "per_device": 16, "log_every": 1}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A corpus of sums, and a model."""
    return prepare(tmp_path_factory.mktemp("training"))


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def base(here: Settings) -> Path:
    return Path(here.corpus).parent / "tiny"


def work_of(plan: Plan) -> Work:
    return Work(plan.folder.with_name(f".{plan.folder.name}"))


GRPO = {"grpo": {**SFT, "samples": 8, "max_tokens": 12, "rewards": {"language": 1.0, "repetition": 1.0, "length": 1.0}}}
PREFERENCE = {"rewards": {"preference": 1.0}, "batch": 16, "samples": 8, "max_tokens": 12, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("method", "figures"),
    [
        ({"sft": SFT}, {"loss", "num_tokens", "learning_rate"}),
        ({"sft": {**SFT, "lora": 4}}, {"loss"}),
        ({"dpo": SFT}, {"loss", "rewards/margins"}),
        ({"reward": SFT}, {"loss", "margin"}),
        (GRPO, {"loss", "reward", "rewards/accuracy", "rewards/length", "rewards/undecided"}),
    ],
    ids=["sft", "lora", "dpo", "reward", "grpo"],
)
def test_each_method_makes_a_model_that_says_what_it_is(
    here: Settings, method: dict[str, Any], figures: set[str]
) -> None:
    from transformers import AutoConfig

    plan = planned(here, method, name="each")
    counted: list[int] = []
    done = trained(here, plan, Watch(on_rows=lambda rows: counted.append(rows.made)))
    assert (done.is_new, done.steps) == (True, 4)
    assert done.rows is not None
    assert counted == [done.rows.made]
    assert done.tokens > 0
    assert weights(done.folder) != weights(base(here))
    assert not work_of(plan).folder.exists()
    assert not (done.folder / "adapter_config.json").exists(), "adapters are merged"
    name = "reward" if "reward" in method else "causal"
    kind = {"reward": "LlamaForSequenceClassification", "causal": "LlamaForCausalLM"}[name]
    assert AutoConfig.from_pretrained(done.folder).architectures == [kind]
    card = json.loads((done.folder / "tracemill.json").read_text())
    assert card["run"] == plan.run_id
    assert card["base"] == str(base(here))
    (data,) = card["trained_on"]
    assert card["data"] == [data]
    assert (data["dataset"], data["version"], data["rows"]) == ("sums", 1, len(plan.parts[0].ids))
    assert card["rows"] == asdict(done.rows)
    assert losses(here, plan, "rows/made") == [(0, done.rows.made)]
    for figure in figures:
        assert [step for step, _ in losses(here, plan, figure)] == [1, 2, 3, 4], figure
    (run,) = Corpus.open(here.corpus).rows("SELECT * FROM runs WHERE run_id = $run", {"run": plan.run_id})
    assert (run["steps"], run["tokens"], run["folder"]) == (4, done.tokens, str(done.folder))
    assert trained(here, planned(here, method, name="each")) == Trained(plan.run_id, done.folder, is_new=False)


def test_the_loss_is_on_the_completion_and_falls(here: Settings) -> None:
    plan = planned(here, {"sft": {**SFT, "steps": 20, "log_every": 5, "learning_rate": 1e-2}}, name="falls")
    done = trained(here, plan)
    found = losses(here, plan)
    assert [step for step, _ in found] == [5, 10, 15, 20]
    assert found[0][1] > found[-1][1] < 3.0 < 4.6  # ln(103), of a model that knows nothing
    rates = [value for _, value in losses(here, plan, "learning_rate")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-3, rel=0.1)
    assert done.rows is not None
    assert done.rows.made == len(plan.parts[0].ids)


def test_the_same_seed_gives_the_same_weights_and_another_others(here: Settings) -> None:
    first, again, other = (
        trained(here, planned(here, {"sft": SFT}, name=name, seed=seed)).folder
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert weights(first) == weights(again) != weights(other)


@pytest.mark.parametrize(("method", "at", "resumed"), [("sft", 8, 5), ("grpo", 3, 2)])
def test_killed_it_goes_on_from_its_last_whole_checkpoint_to_the_same_weights(
    here: Settings, method: str, at: int, resumed: int
) -> None:
    undisturbed = planned(here, KILLED[method], name="undisturbed")
    wanted = trained(here, undisturbed).folder
    assert weights(wanted) != weights(base(here))
    plan = planned(here, KILLED[method])
    command = [sys.executable, "-m", "tests.pipelines.toy_training", str(base(here).parent), method, str(at)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    work = work_of(plan)
    last = work.last_checkpoint()
    assert last is not None
    assert last.name == f"checkpoint-{resumed}"
    shutil.copytree(last, torn := work.checkpoints / f"checkpoint-{resumed + 1}")
    (torn / "trainer_state.json").unlink()
    told: list[int] = []
    done = trained(here, plan, Watch(on_figures=lambda step, last, figures: told.append(step)))
    assert told
    assert told[0] > resumed
    assert weights(done.folder) == weights(wanted)
    assert losses(here, plan) == losses(here, undisturbed)
    assert losses(here, plan, "num_tokens") == losses(here, undisturbed, "num_tokens")
    steps = [step for step, _ in losses(here, plan)]
    assert steps == sorted(set(steps))
    assert steps[-1] == done.steps


def test_killed_after_its_last_step_it_makes_no_other(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = weights(trained(here, planned(here, {"sft": SFT}, name="whole")).folder)
    plan = planned(here, {"sft": SFT}, name="late")
    with monkeypatch.context() as patch:
        patch.setattr("tracemill.trainers.loop._write", lambda *_: (_ for _ in ()).throw(OSError(28, "no room")))
        with pytest.raises(CorpusError, match=r"cannot be written \(no room\); set TRACEMILL_MODELS$"):
            trained(here, plan)
    assert work_of(plan).last_checkpoint() == work_of(plan).checkpoints / "checkpoint-4"
    done = trained(here, plan)
    assert weights(done.folder) == wanted
    assert done.steps == 4
    assert done.tokens > 0


def test_killed_after_the_model_is_written_its_log_is_whole(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(here, {"sft": SFT}, name="written")
    with monkeypatch.context() as patch:  # what a kill leaves: nothing of the log, which is written every 10 s
        patch.setattr("tracemill.pipelines.training_log.TrainingLog.write", lambda self: None)
        patch.setattr("tracemill.pipelines.training._finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            trained(here, plan)
    assert work_of(plan).model.is_dir()
    assert losses(here, plan) == []
    done = trained(here, plan)
    assert (done.steps, done.tokens > 0) == (4, True)
    assert [step for step, _ in losses(here, plan)] == [1, 2, 3, 4]
    (run,) = Corpus.open(here.corpus).rows("SELECT steps, tokens FROM runs WHERE run_id = $run", {"run": plan.run_id})
    assert run == {"steps": 4, "tokens": done.tokens}
    work_of(plan).folder.mkdir()  # what a kill leaves that comes just after the model is in its place
    assert not trained(here, plan).is_new
    assert not work_of(plan).folder.exists()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionError("The vLLM server can't be reached at http://gpu:8000"),
    ],
)
def test_a_server_that_is_gone_is_no_full_folder(
    here: Settings, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("tracemill.pipelines.training.train", fail)
    with pytest.raises(EngineError, match=rf"^training failed: {re.escape(str(error))}; run again"):
        trained(here, planned(here, {"sft": SFT}, name="gone"))


def test_told_to_stop_it_ends_after_the_step_with_a_checkpoint(here: Settings) -> None:
    wanted = weights(trained(here, planned(here, {"sft": SFT}, name="whole")).folder)
    plan = planned(here, {"sft": SFT}, name="stopped")
    seen: list[int] = []
    watch = Watch(on_figures=lambda step, last, figures: seen.append(step), is_stopped=lambda: len(seen) >= 2)
    with pytest.raises(Stopped, match=r"^stopped after step 3, with a checkpoint$"):
        trained(here, plan, watch)
    assert not plan.folder.exists()
    resumed: list[int] = []
    assert weights(trained(here, plan, Watch(on_resumed=resumed.append)).folder) == wanted
    assert resumed == [3]


def test_two_at_once_are_one(here: Settings) -> None:
    plan = planned(here, {"sft": SFT}, name="twice")

    def second(stage: str) -> None:
        with pytest.raises(Locked, match=r"another process does this training; stop it first$"):
            trained(here, plan)

    assert trained(here, plan, Watch(on_stage=second)).is_new


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ({"sft": {"stepz": 1}}, {}, r"^train\.method\.sft\.stepz: 'sft' has no such option"),
        ({"sft": {"batch": 10}}, {}, r"^train\.method\.sft\.batch: 10 is no multiple of per_device \(8\)$"),
        ({"sft": {"batch": 8}}, {"cluster": {"workers": 3}}, r"sft\.batch: 8 is no multiple of workers x per_device"),
        ({"sft": {}}, {"data": ["sumz"]}, r"^train\.data\[0\]\.of: unknown dataset 'sumz' .*did you mean 'sums'"),
        ({"sft": {}}, {"data": ["sums@x"]}, r"^train\.data\[0\]\.of: 'x' is no version; give NAME@NUMBER$"),
        ({"sft": {}}, {"data": [{"of": "sums", "rows": 10**6}]}, r"^train\.data\[0\]\.rows: sums has \d+ traces, not"),
        (
            {"sft": {}},
            {"data": [{"of": "sums", "as_many_as": ["sums", "sums@1"]}]},
            r"^train\.data\[0\]\.as_many_as: sums has \d+ traces, not \d+$",
        ),
        (
            {"sft": {}},
            {"data": [{"of": "sums", "as_many_as": ["none"]}]},
            r"^train\.data\[0\]\.as_many_as: unknown dataset 'none'",
        ),
        ({"sft": {}}, {"model": "./none"}, r"^train\.model: none is not a model folder"),
        (
            {"grpo": {"batch": 64, "samples": 8, "max_tokens": 12, "learning_rate": 1e-3}},
            {"data": [{"of": "sums", "rows": 5}]},
            r"^train\.method\.grpo\.batch: a step of 64 completions, 8 of each question, takes 8 questions, and there are \d;",
        ),
        (
            {"grpo": {**PREFERENCE, "preference": "./none"}},
            {},
            r"^train\.method\.grpo\.preference: none is not a model f",
        ),
        (
            {"grpo": {**PREFERENCE, "preference": "an/other"}},
            {},
            r"grpo\.preference: an/other is no folder of a reward",
        ),
        ({"sft": {"max_length": 9}}, {}, r"^train\.method\.sft\.max_length: each of \d+ rows is longer than 9 tokens"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    here: Settings, method: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        trained(here, planned(here, method, name="mistaken", **more))
    assert "\n" not in str(error.value)
    assert not list(here.models.glob(".mistaken-*")), "what cannot be trained leaves nothing"


def test_a_folder_that_cannot_be_written_is_named(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    there = here.model_copy(update={"models": tmp_path / "models"})
    with pytest.raises(CorpusError, match=r"cannot be written \(.*\); set TRACEMILL_MODELS$"):
        trained(there, planned(there, {"sft": SFT}))


def test_without_the_extra_the_command_that_installs_it_is_told(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(SetupError, match=r"pip install 'tracemill\[train\]'$"):
        planned(here, {"sft": SFT}, name="unplanned")
