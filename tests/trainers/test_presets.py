"""Defaults by size, published presets, and what a recipe sets over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.trainers.options import KINDS, Grpo, Sft
from tracemill.trainers.presets import PRESETS, options_of, parameters, sized
from tracemill.trainers.rewards import Weights
from tracemill.trainers.scratch import Shape, make


@pytest.mark.parametrize(
    ("size", "rate"), [(1.54e9, 1e-4), (7.62e9, 8e-5), (8.03e9, 5e-5), (14.8e9, 7e-5), (32.8e9, 6e-5), (70.6e9, 2e-5)]
)
def test_rates_are_those_of_r1s_distillates(size: float, rate: float) -> None:
    assert sized("sft", int(size), lora=0)["learning_rate"] == rate
    assert sized("sft", int(size), lora=8)["learning_rate"] == pytest.approx(10 * rate)


def test_the_recipe_counts_before_the_preset_and_that_before_the_size() -> None:
    given = {"preset": "r1", "batch": 64, "rewards": {"language": 0.5}}
    found = options_of("grpo", given, 10**6, "train.method.grpo")
    assert isinstance(found, Grpo)
    assert (found.batch, found.samples, found.beta, found.learning_rate) == (64, 16, 0.001, 3e-6)
    assert found.rewards == Weights(language=0.5)
    large = options_of("sft", {"preset": "r1_distill"}, 10**10, "sft")
    assert isinstance(large, Sft)
    assert (large.learning_rate, large.epochs, large.gradient_checkpointing, large.per_device) == (7e-5, 2, True, 1)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_each_preset_is_whole(name: str) -> None:
    method, _ = PRESETS[name]
    found = options_of(method, {"preset": name}, 7 * 10**9, "x")
    assert isinstance(found, KINDS[method])
    assert found.max_length >= getattr(found, "max_tokens", 0) + 1000, "room for the question"
    adapted = options_of(method, {"preset": name, "lora": 64}, 7 * 10**9, "x")
    assert getattr(adapted, "reference_every", None) is None


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("sft", {"stepz": 3}, r"^m\.stepz: 'sft' has no such option \(did you mean 'steps'\?\)$"),
        ("sft", {"steps": 0}, r"^m\.steps: must be at least 1, got 0$"),
        ("sft", {"preset": "r1_distil"}, r"^m\.preset: unknown preset 'r1_distil' \(did you mean 'r1_distill'\?\)$"),
        ("sft", {"preset": "r1"}, r"^m\.preset: r1 is one of grpo, not of sft$"),
        ("grpo", {"batch": 12}, r"^m\.batch: 12 completions are no multiple of samples \(8\)$"),
        ("grpo", {"vllm": "server"}, r"^m\.vllm_server: goes with vllm: server, and that with it$"),
        ("grpo", {"preference": "rm"}, r"^m\.preference: goes with rewards"),
        ("grpo", {"loss": "ppo"}, r"^m\.loss: "),
        ("grpo", {"reference_every": 2}, r"^m\.reference_every: no reference model without beta; leave it out$"),
        ("grpo", {"reference_every": 2, "beta": 0.1, "lora": 4}, r"^m\.reference_every: with lora the reference model"),
        ("grpo", {"temperature": 0}, r"^m\.temperature: must be above 0, got 0$"),
        ("grpo", {"top_p": 0}, r"^m\.top_p: must be above 0, got 0$"),
        ("grpo", {"top_p": 1.5}, r"^m\.top_p: must be at most 1, got 1\.5$"),
        ("grpo", {"length_margin": 2000}, r"^m\.length_margin: must be at most max_tokens \(1024\), got 2000$"),
        ("sft", {"epochs": 0}, r"^m\.epochs: must be above 0, got 0$"),
        (
            "sft",
            {"schedule": "linear", "end": 1},
            r"^m\.end: 1 is no fall of the learning rate; set schedule: constant$",
        ),
        ("sft", {"end": 2}, r"^m\.end: must be at most 1, got 2$"),
    ],
)
def test_a_mistake_is_named(method: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options_of(method, given, 10**6, "m")


@pytest.mark.parametrize(
    ("batch", "per_device", "workers", "expected"),
    [(64, 8, 1, (8, 8)), (64, 8, 2, (8, 4)), (4, 8, 2, (2, 1)), (96, 64, 3, (32, 1)), (4, 8, 1, (4, 1))],
)
def test_a_batch_is_shared_evenly(batch: int, per_device: int, workers: int, expected: tuple[int, int]) -> None:
    assert Sft(learning_rate=1, batch=batch, per_device=per_device).shared(workers) == expected


@pytest.mark.parametrize(
    ("workers", "message"), [(1, r"per_device \(8\)"), (3, r"workers x per_device \(3 x 3\)"), (16, r"\(16 x 1\)")]
)
def test_a_batch_that_would_become_another_is_refused(workers: int, message: str) -> None:
    with pytest.raises(InputError, match=rf"^batch: 10 is no multiple of .*{message}$"):
        Sft(learning_rate=1, batch=10, per_device=8).shared(workers)


def test_the_size_is_read_from_the_configuration_alone(tmp_path: Path) -> None:
    count = make(tmp_path / "model", Shape(layers=1, width=16, heads=2))
    (tmp_path / "model" / "model.safetensors").unlink()
    assert parameters(str(tmp_path / "model")) == count
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"^train.model: transformers cannot read "):
        parameters(str(tmp_path))
