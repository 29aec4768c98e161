"""A small Llama with random weights and a tokenizer of single characters, which toy recipes and tests train.

It is no model of any use before it is trained. 3 layers of width 96 are about 330,000 parameters, which two CPU cores
teach to add in half a minute.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""Tokens of their own, but not special ones: trainers decode without special tokens, and rewards need to see these."""
PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
)
"""Turns follow each other on lines of their own; nothing else is written, for each character is a token."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the model is. Raises InputError for what is no Llama."""

    layers: int = 3
    width: int = 96
    heads: int = 4
    context: int = 512
    """Longest prompt and completion together, in tokens."""
    letters: str = string.printable[:95] + "\n"
    """The characters that it can read and write: by default those of ASCII."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.width % (2 * self.heads):
            raise InputError(f"width: {self.width} is no multiple of 2 x heads ({self.heads})")


def make(folder: Path, shape: Shape = Shape(), seed: int = 0) -> int:
    """Write the model to `folder` in the transformers format; returns its number of parameters.

    The same shape and seed give the same weights. Raises InputError where the folder holds something else.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if folder.exists() and any(folder.iterdir()) and not (folder / "config.json").is_file():
        raise InputError(f"folder: {folder} is not empty and no model; name a new folder")
    tokenizer = _tokenizer(shape.letters)
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.width * 5 // 2,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


def _tokenizer(letters: str) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [PAD, END, UNKNOWN, *TAGS, *dict.fromkeys(letters)]
    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token=UNKNOWN))
    tags = "|".join(TAGS)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"{tags}|[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
    fast.chat_template = TEMPLATE
    return fast
