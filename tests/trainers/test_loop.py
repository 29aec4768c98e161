"""What stands in a training's folder, and which figures count."""

from __future__ import annotations

import json
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import SetupError
from tracemill.trainers import checks, rollouts
from tracemill.trainers.callbacks import figures_of
from tracemill.trainers.checks import check_installed
from tracemill.trainers.loop import Work, on_one_device, train
from tracemill.trainers.options import Grpo, Sft, Training
from tracemill.trainers.rewards import Rewards, Weights, prompt_of
from tracemill.trainers.rows import SCHEMAS, Rows, save
from tracemill.trainers.scratch import Shape, make
from tracemill.trainers.trl_rewards import trl_reward

# TRL imports vLLM where that is installed, which imports what torch 2.13 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def checkpoint(work: Work, step: int, random: bool = True, state: str | None = None) -> Path:
    folder = work.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if random:
        (folder / "rng_state.pth").write_bytes(b"")
    history = [{"loss": 1.0 / at, "step": at} for at in range(1, step + 1)]
    told = json.dumps({"global_step": step, "max_steps": 30, "log_history": history})
    (folder / "trainer_state.json").write_text(told if state is None else state)
    return folder


def test_the_last_checkpoint_is_the_last_whole_one(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert work.last_checkpoint() is None
    assert list(work.logged()) == []
    whole = checkpoint(work, 9)
    (checkpoint(work, 10) / "trainer_state.json").unlink()
    checkpoint(work, 20, state='{"global_step": 20, "log_hi')
    checkpoint(work, 30, random=False)
    assert work.last_checkpoint() == whole
    assert list(work.logged()) == [(at, {"loss": 1 / at}) for at in range(1, 10)]
    assert checkpoint(work, 11) == work.last_checkpoint()


def test_a_checkpoint_of_several_workers_is_whole_with_the_parts_of_all(tmp_path: Path) -> None:
    folder = checkpoint(Work(tmp_path), 5, random=False)
    for worker in range(2):
        assert Work(tmp_path, 2).last_checkpoint() is None
        (folder / f"rng_state_{worker}.pth").write_bytes(b"")
    assert Work(tmp_path, 2).last_checkpoint() == folder
    assert len(list(Work(tmp_path, 2).logged())) == 5
    assert Work(tmp_path).last_checkpoint() is None


def test_a_process_trains_on_one_device_however_many_there_are(tmp_path: Path) -> None:
    from transformers import TrainingArguments

    config = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=8)
    config._n_gpu = 4  # as on a machine with four GPUs
    assert config.train_batch_size == 32
    assert on_one_device(config).train_batch_size == 8


TEMPLATE = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}\n{% endfor %}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose template ends turns with a token that is not the tokenizer's end, as Qwen2.5's base models."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("loop") / "base"
    make(folder, Shape(layers=1, width=16, heads=2))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    return str(folder)


def has_seen(steps: list[int], count: int) -> bool:
    return len(steps) >= count


def test_grpo_that_goes_on_has_its_reference_and_ends_where_engines_do(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    options = Grpo(
        learning_rate=1e-2, steps=7, batch=16, per_device=16, samples=8, max_tokens=40, log_every=1, beta=0.5,
        reference_every=2, rewards=Weights(length=1.0), schedule="constant", warmup=0,
    )  # fmt: skip
    training = Training("run", "grpo", base, "r1", options, seed=1)
    made: list[str] = []

    def recording(rewards: Rewards, *ends: Any) -> Any:
        found = trl_reward(rewards, *ends)

        def tracemill(completions: list[str], **columns: Any) -> list[float | None]:
            made.extend(completions)
            return found(completions, **columns)

        return tracemill

    monkeypatch.setattr("tracemill.trainers.loop.trl_reward", recording)
    whole, cut = Work(tmp_path / "whole"), Work(tmp_path / "cut")
    for work in (whole, cut):
        asked = [prompt_of(f"What is {number} + 1?", str(number + 1), "math") for number in range(8)]
        save(Rows.of(training).grpo(asked), SCHEMAS["grpo"], work.data)
    figures: dict[int, dict[str, float]] = {}
    train(training, whole, lambda step, last, found: figures.update({step: found}))
    seen: list[int] = []
    for stop in (2, 5):  # after step 3, and after step 6, in the second epoch: an epoch has four
        train(training, cut, lambda step, last, found: seen.append(step), partial(has_seen, seen, stop))
        assert not cut.model.exists()
    train(training, cut, lambda step, last, found: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    weights = [(work.model / "model.safetensors").read_bytes() for work in (whole, cut)]
    assert weights[0] == weights[1], "with the reference model of steps 2 and 6, and the order of the second epoch"
    ended = [text for text in made if "</answer>" in text]
    assert len(ended) > 10
    assert all(text.index("</answer>") + len("</answer>") == len(text) for text in ended)
    assert all(0 < found["rewards/cut_off"] < 1 for found in figures.values())
    assert "completions/clipped_ratio" not in figures[1]
    tokenizer = AutoTokenizer.from_pretrained(whole.model)
    assert tokenizer.eos_token == "<|im_end|>"
    told = json.loads((whole.model / "generation_config.json").read_text())
    assert tokenizer.eos_token_id in told["eos_token_id"]


def test_numbers_are_figures_and_the_summary_of_this_process_is_not() -> None:
    assert figures_of({"loss": 0.5, "num_tokens": 3, "step": 2, "note": "x"}) == {"loss": 0.5, "num_tokens": 3.0}
    assert figures_of({"completions/clipped_ratio": 1.0, "completions/min_terminated_length": 0}) == {}
    assert figures_of({"train_runtime": 3.0, "train_loss": 0.1, "epoch": 1}) == {}


def test_vllm_is_told_the_end_of_a_turn_which_the_folder_that_it_loads_may_lack() -> None:
    assert rollouts.generation((), [7, 2], by_vllm=True) == {"stop_token_ids": [7, 2]}
    assert rollouts.generation(["</answer>"], [2], by_vllm=True) == {"stop_token_ids": [2], "stop": ["</answer>"]}
    assert rollouts.generation(["</answer>"], [2], by_vllm=False) == {"stop_strings": ["</answer>"]}
    assert rollouts.generation((), [2], by_vllm=False) == {}


def test_a_gpu_that_is_full_is_one_line(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("tracemill.trainers.loop._trainer", full)
    training, work = Training("run", "sft", base, "r1", Sft(learning_rate=1), seed=1), Work(tmp_path)
    save([{"input_ids": [1], "labels": [1]}], SCHEMAS["sft"], work.data)
    with pytest.raises(SetupError, match=r"^train\.method\.sft: the GPU's memory is full; lower per_device"):
        train(training, work, lambda step, last, found: None)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed()
    found = find_spec
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name in ("flash_attn", "vllm") else found(name))
    with pytest.raises(
        SetupError, match=r"^train\.method\.sft\.packing: needs flash attention: pip install flash-attn"
    ):
        check_installed(Sft(learning_rate=1, packing=True))
    with pytest.raises(SetupError, match=r"^train\.method\.grpo\.vllm: vllm is not installed: make setup ACCEL=gpu"):
        check_installed(Grpo(learning_rate=1, vllm="colocate"))
    check_installed(Grpo(learning_rate=1))
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(SetupError, match=r"^trl is not installed: pip install 'tracemill\[train\]'$"):
        check_installed()
