"""Defaults by the size of the model, and hyper-parameters that were published, with their source.

What a recipe sets counts first, then its `preset`, then these defaults, then those of `trainers.options`. With `lora`
a preset's `reference_every` does not count: the reference is the model without its adapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from logging import ERROR, getLogger
from typing import Any

from tracemill.core.errors import InputError, nearest
from tracemill.core.options import configured
from tracemill.trainers.options import KINDS, Method, Options

R1_DISTILL_RATES = ((2e9, 1e-4), (7.8e9, 8e-5), (9e9, 5e-5), (20e9, 7e-5), (40e9, 6e-5), (float("inf"), 2e-5))
"""Parameters up to which a rate holds: DeepSeek-R1's distillates of 1.5B, 7B, 8B, 14B, 32B and 70B (Nature 645,
633-638, supplementary information)."""
LORA = 10.0
"""Low-rank adapters take ten times the rate of full training ("LoRA without regret", Thinking Machines, 2025)."""

_LONG: Mapping[str, Any] = {"max_length": 32_768, "per_device": 1, "gradient_checkpointing": True}
"""Rows of so many tokens go through a GPU one by one, as in s1's and Sky-T1's scripts."""
_R1_RL: Mapping[str, Any] = {
    **_LONG,
    "max_length": 34_816,
    "learning_rate": 3e-6, "beta": 0.001, "temperature": 1.0, "samples": 16, "batch": 512, "max_tokens": 32_768,
    "reference_every": 400, "loss": "grpo", "schedule": "constant", "warmup": 0,
}  # fmt: skip
"""DeepSeek-R1's reinforcement learning (Nature 645, 633-638, "Training details"): 32 questions with 16 samples a step.
Its limit of 32,768 tokens is that of the completion; 2,048 more are left to the question.
It draws the samples of 16 steps at once; here each step draws its own."""

PRESETS: Mapping[str, tuple[Method, Mapping[str, Any]]] = {
    # DeepSeek-R1-Zero, 10,400 steps; from step 8,200 samples have up to 65,536 tokens.
    "r1_zero": ("grpo", _R1_RL),
    # DeepSeek-R1's first: the share of words in the target language is added, and the ratio clipped at 10.
    "r1": ("grpo", {**_R1_RL, "epsilon": 10.0, "rewards": {"language": 1.0}}),
    # Its second, as the first but for temperature 0.7: 1,700 steps, of which the last 400 have preference rewards too
    # (`rewards: {language: 1, preference: 1}` in a stage of its own).
    "r1_final": ("grpo", {**_R1_RL, "epsilon": 10.0, "temperature": 0.7, "rewards": {"language": 1.0}}),
    # Its supervised fine-tuning, of the cold start and of the 800k traces (arXiv 2501.12948v2, B.4.2): 2 to 3 epochs of
    # DeepSeek-V3-Base, 5e-5 to 5e-6.
    "r1_sft": (
        "sft",
        {
            **_LONG, "learning_rate": 5e-5, "epochs": 2, "batch": 128, "schedule": "cosine", "end": 0.1,
        },
    ),
    # Its reward model of helpfulness (the same, "Reward design"): one epoch of 66,000 pairs.
    "r1_reward": ("reward", {**_LONG, "learning_rate": 6e-6, "epochs": 1, "batch": 256, "max_length": 8192}),
    # Its distillates (the same, B.4.3): 2 to 3 epochs of the 800k traces, the rate by size.
    "r1_distill": ("sft", {**_LONG, "epochs": 2, "batch": 64, "schedule": "cosine", "end": 0.1}),
    # s1 (arXiv 2501.19393, appendix D; simplescaling/s1, train/sft_multinode.sh): 1,000 traces, 5 epochs, to 0.
    "s1": (
        "sft",
        {
            **_LONG, "learning_rate": 1e-5, "epochs": 5, "batch": 16, "schedule": "cosine", "end": 0.0, "warmup": 0.05,
            "weight_decay": 1e-4, "adam_beta2": 0.95,
        },
    ),
    # Sky-T1-32B-Preview (NovaSky, 2025-01; NovaSky-AI/SkyThought, train/LLaMA-Factory, qwen2_full_sft_32B.yaml): 3
    # epochs of batch 96 (8 GPUs x 12), 1e-5 to 0 after a tenth of the steps.
    "sky_t1": (
        "sft",
        {
            **_LONG, "learning_rate": 1e-5, "epochs": 3, "batch": 96, "schedule": "cosine", "end": 0.0, "warmup": 0.1,
            "max_length": 16_384,
        },
    ),
    # STaR (arXiv 2203.14465; ezelikman/STaR, configs/qa_base.json, iteration_train.py): 40 steps in the first round, a
    # fifth more in each, 100 steps of warm-up; its batch of 8 packed rows of 1,536 tokens has about 80 traces.
    "star": (
        "sft",
        {"learning_rate": 1e-6, "steps": 40, "batch": 80, "per_device": 10, "schedule": "constant", "warmup": 100},
    ),
    # TinyZero (Jiayi-Pan/TinyZero): countdown, 1,024 tokens, .1 for the form and 1 for the right answer. Its first
    # script is PPO with a critic, 256 prompts a step; these are of its train_tiny_zero_a100_grpo.sh: 128 prompts, each
    # with 5 samples. That takes several steps of 64 prompts with what was drawn at once; here each step draws its own.
    "tiny_zero": (
        "grpo",
        {
            "learning_rate": 1e-6, "beta": 0.001, "samples": 5, "batch": 640, "per_device": 5, "max_tokens": 1024,
            "loss": "grpo", "schedule": "constant", "warmup": 0, "rewards": {"accuracy": 0.9, "format": 0.1},
        },
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
    if lora:
        defaults.pop("reference_every", None)  # adapters leave the reference as it was
    return configured(KINDS[method], own, where, method, defaults=defaults)


def parameters(model: str) -> int:
    """How many the model has, from its configuration alone. Raises InputError where transformers cannot read it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    getLogger("huggingface_hub").setLevel(ERROR)  # it tells of each try where there is no hub
    try:
        config = AutoConfig.from_pretrained(model)
        with torch.device("meta"):
            return int(AutoModelForCausalLM.from_config(config).num_parameters())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"train.model: transformers cannot read {model}: {reason} Where there is no hub, name a folder, or a "
            "packaged model"
        ) from error
