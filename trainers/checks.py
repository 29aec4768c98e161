"""What a training is refused for before it reads anything: libraries that are missing, completions without room."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from tracemill.core.errors import InputError, SetupError
from tracemill.trainers.options import Grpo, Options, Sft


def check_installed(options: Options | None = None) -> None:
    """Raises SetupError where the libraries that train, with these options, are missing."""
    for name in ("torch", "transformers", "datasets", "accelerate", "trl", "peft"):
        if find_spec(name) is None:
            raise SetupError(f"{name} is not installed: pip install 'tracemill[train]'")
    if isinstance(options, Sft) and options.packing and find_spec("flash_attn") is None:
        raise SetupError("train.method.sft.packing: needs flash attention: pip install flash-attn, or leave it out")
    if isinstance(options, Grpo) and options.vllm != "off" and find_spec("vllm") is None:
        raise SetupError("train.method.grpo.vllm: vllm is not installed: make setup ACCEL=gpu, or leave it out")


def check_rollouts(options: Grpo, window: int | None, hidden: Sequence[str] = ()) -> None:
    """Raises InputError for what would leave no completion to reward; `hidden` are tags that decoding leaves out."""
    if window is not None and options.max_tokens >= window:
        raise InputError(
            f"train.method.grpo.max_tokens: completions of {options.max_tokens:,} tokens leave no room for a question "
            f"in the model's window of {window:,}; lower it"
        )
    if hidden:
        raise InputError(
            f"train.model: its tokenizer calls {', '.join(hidden)} special, and TRL leaves special tokens out of what "
            "is rewarded; make them plain added tokens (special: false in tokenizer_config.json)"
        )
