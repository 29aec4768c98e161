"""Defaults by the size of the model, and hyper-parameters that were published, with their source.

What a recipe sets counts first, then its `preset`, then these defaults, then those of `trainers.options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracemill.core.errors import InputError, nearest
from tracemill.core.options import configured
from tracemill.trainers.options import KINDS, Method, Options

R1_DISTILL_RATES = ((2e9, 1e-4), (7.5e9, 8e-5), (9e9, 5e-5), (20e9, 7e-5), (40e9, 6e-5), (float("inf"), 2e-5))
"""Parameters up to which a rate holds: DeepSeek-R1's distillates of 1.5B, 7B, 8B, 14B, 32B and 70B (Nature 645,
633-638, supplementary information)."""
LORA = 10.0
"""Low-rank adapters take ten times the rate of full training ("LoRA without regret", Thinking Machines, 2025)."""

PRESETS: Mapping[str, tuple[Method, Mapping[str, Any]]] = {
    # DeepSeek-R1's distillation: 2 to 3 epochs, cosine to a tenth, context 32,768, batch 64; the rate by size.
    "r1_distill": ("sft", {"epochs": 2, "batch": 64, "schedule": "cosine", "end": 0.1, "max_length": 32_768}),
    # DeepSeek-R1-Zero: 32 questions with 16 samples a step, reference replaced every 400 steps (length 65,536 later).
    "r1_zero": (
        "grpo",
        {
            "learning_rate": 3e-6, "beta": 0.001, "temperature": 1.0, "samples": 16, "batch": 512, "max_tokens": 32_768,
            "reference_every": 400, "loss": "grpo", "schedule": "constant", "warmup": 0,
        },
    ),
    # DeepSeek-R1's first reinforcement learning: as R1-Zero's, and the share of words in the target language is added.
    "r1": (
        "grpo",
        {
            "learning_rate": 3e-6, "beta": 0.001, "temperature": 1.0, "samples": 16, "batch": 512, "max_tokens": 32_768,
            "reference_every": 400, "loss": "grpo", "schedule": "constant", "warmup": 0,
            "rewards": {"language": 1.0},
        },
    ),
    # DeepSeek-R1's second: 1,700 steps at temperature 0.7.
    "r1_final": (
        "grpo",
        {
            "learning_rate": 3e-6, "beta": 0.001, "temperature": 0.7, "samples": 16, "batch": 512, "max_tokens": 32_768,
            "reference_every": 400, "loss": "grpo", "schedule": "constant", "warmup": 0, "steps": 1700,
            "rewards": {"language": 1.0},
        },
    ),
    # s1 (arXiv 2501.19393, appendix D): 1,000 traces, 5 epochs of batch 16, 1e-5, cosine to 0.
    "s1": (
        "sft",
        {
            "learning_rate": 1e-5, "epochs": 5, "batch": 16, "schedule": "cosine", "end": 0.0, "warmup": 0.05,
            "weight_decay": 1e-4,
        },
    ),
    # Sky-T1-32B (NovaSky, 2025-01): 3 epochs of batch 96, 1e-5.
    "sky_t1": ("sft", {"learning_rate": 1e-5, "epochs": 3, "batch": 96, "max_length": 16_384}),
    # TinyZero (Jiayi-Pan/TinyZero, scripts/train_tiny_zero.sh): 256 prompts a step, KL .001, 1,024 tokens.
    "tiny_zero": (
        "grpo",
        {"learning_rate": 1e-6, "beta": 0.001, "samples": 8, "batch": 2048, "max_tokens": 1024, "loss": "grpo"},
    ),
}  # fmt: skip


def sized(method: Method, parameters: int, lora: int) -> dict[str, Any]:
    """Defaults for a model of so many parameters."""
    rate = next(rate for most, rate in R1_DISTILL_RATES if parameters <= most)
    rates = {"sft": rate, "grpo": 1e-6, "dpo": 5e-7, "reward": 1e-5}
    found: dict[str, Any] = {"learning_rate": rates[method] * (LORA if lora else 1)}
    if parameters > 2e9:
        found |= {"gradient_checkpointing": True, "per_device": 1}
    return found


def options_of(method: Method, given: Mapping[str, Any], parameters: int, where: str) -> Options:
    """The options that a recipe gives a method, over preset and defaults. Raises InputError naming the field."""
    own = {name: value for name, value in given.items() if name != "preset"}
    preset: Mapping[str, Any] = {}
    if (name := given.get("preset")) is not None:
        if name not in PRESETS:
            raise InputError(f"{where}.preset: unknown preset {name!r}{nearest(str(name), PRESETS)}")
        kind, preset = PRESETS[name]
        if kind != method:
            raise InputError(f"{where}.preset: {name} is one of {kind}, not of {method}")
    lora = own.get("lora", preset.get("lora", 0))
    defaults = sized(method, parameters, lora if isinstance(lora, int) else 0) | dict(preset)
    return configured(KINDS[method], own, where, method, defaults=defaults)


def parameters(model: str) -> int:
    """How many the model has, from its configuration alone. Raises InputError where transformers cannot read it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model)
        with torch.device("meta"):
            return int(AutoModelForCausalLM.from_config(config).num_parameters())
    except (OSError, ValueError) as error:
        raise InputError(f"train.model: transformers cannot read {model}: {str(error).splitlines()[0]}") from error
