"""What a training is asked to do: method, model, and the options of each method with their defaults.

Defaults that depend on the size of the model are in `trainers.presets`, and so are those of published systems.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from tracemill.core.errors import InputError
from tracemill.trainers.rewards import Rewards, Weights

Method = Literal["sft", "grpo", "dpo", "reward"]
Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all methods have. Raises InputError for values out of range."""

    learning_rate: float
    """Peak, of AdamW."""
    steps: int | None = None
    """Optimizer steps; unset: as many as `epochs` take."""
    epochs: float = 1.0
    batch: int = 64
    """Rows of one optimizer step, on all workers together; of GRPO, completions."""
    per_device: int = 8
    """Rows that a device holds at once; the rest of the batch is accumulated."""
    schedule: Schedule = "cosine"
    """How the learning rate falls after the warm-up: to `end` of its peak (`constant`: not at all)."""
    end: float = 0.1
    """Where it ends, as a share of its peak."""
    warmup: float = 0.03
    """Share of the steps in which the learning rate rises to its peak; from 1, so many steps."""
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    """Decay of AdamW's second moment."""
    clip: float = 1.0
    """Greatest norm of the gradient."""
    max_length: int = 32_768
    """Longest row in tokens, prompt and completion (of GRPO, `max_tokens`); longer ones are left out, and counted. It
    is never more than the model's window."""
    lora: int = 0
    """Rank of low-rank adapters on all linear layers (peft), merged into the model at the end; 0 trains all weights."""
    lora_alpha: float | None = None
    """Scale of the adapters, over the rank; unset: twice the rank."""
    save_every: int = 100
    """Steps between two checkpoints; a training that was stopped goes on from the last."""
    log_every: int = 10
    gradient_checkpointing: bool = False
    """A fifth slower, and long rows take much less memory."""

    least: ClassVar[dict[str, float]] = {
        "steps": 1, "batch": 1, "per_device": 1, "end": 0, "warmup": 0, "weight_decay": 0, "adam_beta2": 0, "clip": 0,
        "max_length": 2, "lora": 0, "save_every": 1, "log_every": 1, "learning_rate": 0, "samples": 2,
        "max_tokens": 1, "beta": 0, "epsilon": 0, "reference_every": 1, "length_margin": 1,
    }  # fmt: skip
    above: ClassVar[tuple[str, ...]] = ("epochs", "temperature", "top_p", "vllm_memory", "lora_alpha")
    """What is above 0."""
    most: ClassVar[dict[str, float]] = {"end": 1, "adam_beta2": 0.999_999, "top_p": 1, "vllm_memory": 1}

    def __post_init__(self) -> None:
        for one in fields(self):
            name, value = one.name, getattr(self, one.name)
            if value is None:
                continue
            if name in self.least and value < self.least[name]:
                raise InputError(f"{name}: must be at least {self.least[name]:g}, got {value:g}")
            if name in self.above and value <= 0:
                raise InputError(f"{name}: must be above 0, got {value:g}")
            if name in self.most and value > self.most[name]:
                raise InputError(f"{name}: must be at most {self.most[name]:g}, got {value:g}")
        if self.schedule == "linear" and self.end == 1:
            raise InputError("end: 1 is no fall of the learning rate; set schedule: constant")

    def shared(self, workers: int) -> tuple[int, int]:
        """Rows that each of so many devices holds at once, and how many such batches make a step.

        Raises InputError where the batch cannot be shared evenly: it would be another one.
        """
        held = min(self.per_device, max(1, self.batch // workers))
        if self.batch % (held * workers):
            of = f"per_device ({held})" if workers == 1 else f"workers x per_device ({workers} x {held})"
            raise InputError(f"batch: {self.batch} is no multiple of {of}")
        return held, self.batch // (held * workers)


@dataclass(frozen=True, kw_only=True)
class Sft(Options):
    """Supervised fine-tuning: the loss is on what the model is to write, not on the question."""

    packing: bool = False
    """Fill rows of `max_length` with several traces each: quicker with long rows, and needs flash attention."""


@dataclass(frozen=True, kw_only=True)
class Grpo(Options):
    """Group relative policy optimization (DeepSeekMath, arXiv 2402.03300) with the project's verifiers as reward."""

    samples: int = 8
    """Completions of each prompt; `batch` is a multiple of it."""
    max_tokens: int = 1024
    """Longest completion."""
    temperature: float = 1.0
    top_p: float = 1.0
    beta: float = 0.0
    """Weight of the KL divergence from the reference model."""
    epsilon: float = 0.2
    """How far the ratio of probabilities may move from 1 before it is clipped."""
    reference_every: int | None = None
    """The reference model becomes the current one every so many steps. Needs `beta`, and weights that are all trained:
    with `lora` it stays the model that training began from."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    """How tokens are averaged: see TRL's `loss_type`. `dr_grpo` does not divide by the rewards' deviation either."""
    rewards: Weights = field(default_factory=Weights)
    """What each part of the reward counts."""
    length_margin: int | None = None
    """For `rewards.length`: tokens before `max_tokens` from which it falls; unset: a fifth of `max_tokens`."""
    preference: str | None = None
    """For `rewards.preference`: folder of a reward model, or the stage that trains it."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Where completions are made: by the trained model itself, by vLLM on the same GPUs, or by `vllm serve`."""
    vllm_server: str | None = None
    """URL of that server."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory that a colocated vLLM takes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % self.samples:
            raise InputError(f"batch: {self.batch} completions are no multiple of samples ({self.samples})")
        if (self.vllm == "server") != (self.vllm_server is not None):
            raise InputError("vllm_server: goes with vllm: server, and that with it")
        if (self.rewards.preference != 0) != (self.preference is not None):
            raise InputError("preference: goes with rewards: {preference: …}, and that with it")
        if self.reference_every is not None and (self.lora or not self.beta):
            why = (
                "no reference model without beta" if self.lora == 0 else "with lora the reference model stays as it was"
            )
            raise InputError(f"reference_every: {why}; leave it out")
        if self.length_margin is not None and self.length_margin > self.max_tokens:
            raise InputError(f"length_margin: must be at most max_tokens ({self.max_tokens}), got {self.length_margin}")


@dataclass(frozen=True, kw_only=True)
class Dpo(Options):
    """Direct preference optimization: kept traces against wrong ones of the same prompt."""

    beta: float = 0.1
    """How much the reference model holds."""


@dataclass(frozen=True, kw_only=True)
class RewardModel(Options):
    """A reward model for `rewards.preference`: kept traces score above wrong ones of the same prompt."""


KINDS: dict[str, type[Options]] = {"sft": Sft, "grpo": Grpo, "dpo": Dpo, "reward": RewardModel}


@dataclass(frozen=True, slots=True)
class Training:
    """One training, ready to run. Picklable."""

    run_id: str
    method: Method
    model: str
    """What it starts from: a folder or hub name, as transformers takes it."""
    thinking: str
    """Think format that the model is asked in and learns."""
    options: Any
    """Of the class that KINDS names for the method."""
    seed: int
    verify: Any = None
    """Options of verifiers by name, for GRPO."""

    def rewards(self, prefill: str) -> Rewards:
        """What rewards GRPO's completions, after a prompt that ends with `prefill`."""
        options: Grpo = self.options
        return Rewards(
            weights=options.rewards,
            thinking=self.thinking,
            prefill=prefill,
            max_tokens=options.max_tokens,
            margin=options.length_margin or max(1, options.max_tokens // 5),
            options=self.verify or {},
            preference=options.preference,
        )
