"""A reward model, as TRL's RewardTrainer writes it, that says how good a completion is.

A transformers folder of a sequence classification model with one label (Bradley-Terry: only differences between the
scores of one prompt's completions mean something). It sees what it saw in training (`rows.Rows.reward`): the tokens of
the prompt, those of the completion and the end token; chat turns go through its own template, as in TRL. A text that is
longer than the model's window keeps its end: the answer is there, and the score is read at the last token. Scores are
made without gradient, in small batches, on the GPU where there is one. Does not train.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from tracemill.core.errors import InputError, SetupError

Shown = str | Sequence[Mapping[str, str]]
"""What a model got: text, or chat turns with `role` and `content`."""
BATCH = 8
"""Texts in one forward pass."""
_lock = Lock()


class PreferenceModel:
    """A loaded reward model. Not picklable: `Rewards` holds the folder only."""

    def __init__(self, folder: str) -> None:
        """Raises InputError for a folder that holds no such model."""
        if not (Path(folder) / "config.json").is_file():
            raise InputError(f"rewards.preference: {folder!r} is no model folder (it has no config.json)")
        try:
            import torch
            from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise SetupError("rewards.preference needs: pip install 'tracemill[train]'") from error
        config = AutoConfig.from_pretrained(folder)
        kinds = config.architectures or []
        if config.num_labels != 1 or not any(kind.endswith("ForSequenceClassification") for kind in kinds):
            raise InputError(f"rewards.preference: {folder!r} is no sequence classification model with one label")
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # bfloat16 has 8 bits for a score: two that are 0.4 % apart may be equal.
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
        self._model: Any = model.to(device).eval()
        self._model.config.pad_token_id = self._tokenizer.pad_token_id  # by it the model finds each text's last token
        self._longest: int = getattr(config, "max_position_embeddings", None) or self._tokenizer.model_max_length

    def scores(self, shown: Sequence[Shown], texts: Sequence[str]) -> list[float | None]:
        """A score for each completion `texts` to what was `shown`; None where the model gives no finite number."""
        ids = [self.ids(one, text) for one, text in zip(shown, texts, strict=True)]
        with _lock:  # one forward pass at a time, whichever threads ask
            found = [score for at in range(0, len(ids), BATCH) for score in self._scored(ids[at : at + BATCH])]
        return [score if math.isfinite(score) else None for score in found]

    def ids(self, shown: Shown, text: str) -> list[int]:
        """The tokens that the model is given, as in its training, cut from the left to its window."""
        if isinstance(shown, str):
            end = self._tokenizer.eos_token or ""
            written = text.removesuffix(end) + end
            first = self._tokenizer.bos_token
            is_whole = bool(first) and shown.startswith(first)  # a chat template has put it there
            prompt = self._tokenizer(shown, add_special_tokens=not is_whole)["input_ids"]
            found = prompt + self._tokenizer(written, add_special_tokens=False)["input_ids"]
        else:
            turns = [*shown, {"role": "assistant", "content": text}]
            found = self._tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]
        return list(found[-self._longest :])

    def _scored(self, ids: list[list[int]]) -> list[float]:
        import torch

        batch = self._tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**batch.to(self._model.device)).logits
        return [float(score) for score in logits[:, 0].float()]


def preference_model(folder: str) -> PreferenceModel:
    """The model of that folder, loaded once a process, whichever threads ask. Raises InputError."""
    with _lock:
        return _loaded(folder)


@cache
def _loaded(folder: str) -> PreferenceModel:
    return PreferenceModel(folder)
