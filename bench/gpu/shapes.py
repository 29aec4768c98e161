"""Llamas of known shapes with random weights and SmolLM2's tokenizer, and what a token costs them.

How fast a model is goes by its shape; what its weights say is of no influence, but that it never ends a text by itself.
The vocabulary is the tokenizer's 49,152 in all shapes: Llama-3.2-1B's own has 128,256, with which it would have
1.236 billion parameters and not 1.074.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

VOCABULARY = 49_152


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama whose input and output embeddings are one matrix."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    """Width of the feed-forward layers."""
    vocabulary: int = VOCABULARY

    @property
    def head(self) -> int:
        """Parameters of the embeddings."""
        return self.vocabulary * self.width

    @property
    def body(self) -> int:
        """All other parameters."""
        of_keys = self.width * self.kv_heads // self.heads
        attention, feed_forward = 2 * self.width * (self.width + of_keys), 3 * self.width * self.inner
        return self.layers * (attention + feed_forward + 2 * self.width) + self.width

    def train_flops(self, tokens: float, scored: float, length: float) -> float:
        """What training on so many tokens takes, forward and backward, in rows of `length` tokens.

        6N + 12 * layers * width * length a token (PaLM, arXiv 2204.02311, appendix B: attention as if it looked at the
        whole row, nothing for what is computed twice). N are all parameters: as input the embeddings cost nothing, as
        output they do, at the `scored` tokens, those that the loss is on: TRL multiplies no others (1.16, on a GPU).
        """
        return tokens * (6 * self.body + 12 * self.layers * self.width * length) + scored * 6 * self.head


SHAPES = {
    "smollm2-135m": Shape(width=576, layers=30, heads=9, kv_heads=3, inner=1536),
    "llama-3.2-1b": Shape(width=2048, layers=16, heads=32, kv_heads=8, inner=8192),
}
TINY = Shape(width=32, layers=2, heads=4, kv_heads=2, inner=64)


def make(shape: Shape, folder: Path, tokenizer: Path) -> None:
    """Write the model to `folder` in bfloat16, with the tokenizer of the model in another."""
    import torch
    from transformers import LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True)
    for file in tokenizer.iterdir():
        if file.name.startswith(("tokenizer", "chat_template", "special_tokens")):
            shutil.copy(file, folder)
    torch.manual_seed(0)
    LlamaForCausalLM._from_config(config_of(shape), dtype=torch.bfloat16).save_pretrained(folder)


def config_of(shape: Shape) -> object:
    """As transformers describes it, with SmolLM2's special tokens."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.inner,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
