"""A small model and its tokenizer in this process, and batches of samples that it makes with transformers' `generate`.

Imports torch and transformers: only `factory.engines.transformers` imports it, once an engine starts. Checked with
transformers 5.19. `generate` runs the model; which token comes next and when a sample ends is decided here, because its
sampling draws from torch's global generator, which a trainer in this process seeds, and its stop strings do not say
where they end. The rules are vLLM's (v1/engine/detokenizer.py, v1/core/sched/utils.py of 0.32).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.utils.logging import disable_progress_bar

from tracemill.core.errors import EngineError
from tracemill.core.types import Sampling
from tracemill.factory.engines.rendering import control_tokens

GREEDY = 1e-5
"""Temperatures below are greedy, as in vLLM."""


@dataclass(eq=False, slots=True)
class Row:
    """One sample in the making. Written by the thread that generates; read by others once `finish_reason` is set."""

    tokens: list[int]
    """The prompt's."""
    sampling: Sampling
    stop: tuple[str, ...]
    room: int
    """Most tokens that it may get: `max_tokens`, or what the model's context leaves."""
    wants_logprobs: bool
    told: Callable[[], object]
    """Called in the thread that generates when the sample is finished."""
    text: str = ""
    made: int = 0
    """Tokens so far; one that ends the sample is counted too."""
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""
    is_dropped: bool = False
    """Nobody wants it any more."""
    _stream: Any = None

    @property
    def is_done(self) -> bool:
        """Nothing more comes of it."""
        return self.is_dropped or bool(self.finish_reason)

    def take(self, token: int, model: Model) -> bool:
        """One token more; returns whether it was the last."""
        self.made += 1
        before = len(self.text)
        self.text += self._decoded(token, model)
        ends = [
            at + len(stop)
            for stop in self.stop
            if (at := self.text.find(stop, max(0, before + 1 - len(stop)))) >= 0 and len(self.text) > before
        ]
        if ends:
            self.text = self.text[: min(ends)]
        if ends or token in model.ends:
            self.finish_reason = "stop"
        elif self.made >= self.room:
            self.finish_reason = "length"
        return bool(self.finish_reason)

    def _decoded(self, token: int, model: Model) -> str:
        """The text that the token adds; empty while it is a part of a character."""
        if self._stream is None:
            self._stream = DecodeStream(ids=self.tokens, skip_special_tokens=model.control is None)
        try:
            return self._stream.step(model.tokenizer.backend_tokenizer, token) or ""
        except Exception as error:
            # Bytes that are no UTF-8 break the stream's state: vllm issue 17448. The crate raises plain Exceptions.
            if "Invalid prefix" not in str(error):
                raise
            self._stream = DecodeStream(skip_special_tokens=model.control is None)
            return self._stream.step(model.tokenizer.backend_tokenizer, token) or ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is loaded."""

    network: Any
    tokenizer: Any
    ends: frozenset[int]
    """Tokens that end a sample: the tokenizer's own, and those of generation_config.json."""
    control: Any
    """See `control_tokens`."""
    context: int | None
    """Longest prompt and completion together, in tokens."""
    dice: torch.Generator
    """What unseeded samples are drawn with."""

    def generate(self, rows: Sequence[Row], progress: Callable[[int], None]) -> None:
        """Make the samples of these rows, which have the same sampling; `progress` hears the tokens of each step."""
        sampling, device = rows[0].sampling, self.network.device
        dice = self.dice if sampling.seed is None else torch.Generator(device).manual_seed(sampling.seed)
        width = max(len(row.tokens) for row in rows)
        pad = self.tokenizer.pad_token_id or 0  # masked wherever it stands
        draw = _Draw(dice if sampling.temperature >= GREEDY else None, any(row.wants_logprobs for row in rows))
        with torch.inference_mode():
            self.network.generate(
                torch.tensor([[pad] * (width - len(row.tokens)) + row.tokens for row in rows], device=device),
                attention_mask=torch.tensor(
                    [[0] * (width - len(row.tokens)) + [1] * len(row.tokens) for row in rows], device=device
                ),
                generation_config=GenerationConfig(
                    max_new_tokens=max(row.room for row in rows), do_sample=False, pad_token_id=pad
                ),
                logits_processor=LogitsProcessorList([draw.keep, *_warpers(sampling), draw]),
                stopping_criteria=StoppingCriteriaList([_Ends(self, rows, draw, progress)]),
            )


def load(folder: str, dtype: str, seed: int) -> Model:
    """The model on this process's GPU, or its CPU. Raises EngineError with the reason where it cannot be loaded."""
    disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    except Exception as error:  # transformers raises anything here
        raise EngineError(f"transformers cannot load {folder}: {' '.join(str(error).split())[:300]}") from error
    if not tokenizer.is_fast:
        raise EngineError(f"{folder}: its tokenizer has no tokenizer.json; use engine: vllm")
    ends = network.generation_config.eos_token_id
    known = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    network.generation_config = GenerationConfig()  # else its temperature or penalties would apply beside the recipe's
    return Model(
        network,
        tokenizer,
        frozenset(known),
        control_tokens(tokenizer.all_special_tokens),
        getattr(network.config, "max_position_embeddings", None),
        torch.Generator(device).manual_seed(seed),
    )


def _warpers(sampling: Sampling) -> list[Any]:
    """What narrows the distribution, in vLLM's order."""
    if sampling.temperature < GREEDY:
        return []
    return [
        TemperatureLogitsWarper(float(sampling.temperature)),
        *([TopKLogitsWarper(sampling.top_k)] if sampling.top_k > 0 else []),
        *([TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []),
    ]


class _Draw:
    """Has `generate`, which takes the greatest score, take a token that is drawn here."""

    def __init__(self, dice: torch.Generator | None, wants_logprobs: bool) -> None:
        self._dice, self._wants_logprobs = dice, wants_logprobs
        self._plain: torch.Tensor | None = None

    def keep(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Log probabilities are those of the model's own distribution, before temperature, top_p and top_k."""
        if self._wants_logprobs:
            self._plain = scores.log_softmax(-1)
        return scores

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores, rows x vocabulary, with the drawn tokens the greatest; without dice as they are."""
        if self._dice is None:
            return scores
        # The inverse of the distribution: a quarter of the time of torch.multinomial with 49,000 tokens on a CPU.
        shares = scores.softmax(-1, dtype=torch.float64).cumsum(-1)
        drawn = torch.rand(len(scores), 1, generator=self._dice, dtype=torch.float64, device=scores.device)
        token = torch.searchsorted(shares, drawn * shares[:, -1:], right=True).clamp_max(scores.shape[1] - 1)
        return scores.scatter(1, token, float("inf"))

    def logprobs(self, tokens: torch.Tensor) -> list[float]:
        """Of these tokens, one a row; empty where nobody asked."""
        if self._plain is None:
            return []
        found: list[float] = self._plain.gather(1, tokens[:, None])[:, 0].tolist()
        return found


class _Ends:
    """Says after each step which rows are finished. Rows that are get padding, and what comes then is not theirs."""

    eos_token_id = None
    """That the attribute is there has `generate` pad the finished rows."""

    def __init__(self, model: Model, rows: Sequence[Row], draw: _Draw, progress: Callable[[int], None]) -> None:
        self._model, self._rows, self._draw, self._progress = model, rows, draw, progress

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """One bool a row."""
        tokens = input_ids[:, -1]
        logprobs = self._draw.logprobs(tokens)
        made, finished = 0, []
        for at, (row, token) in enumerate(zip(self._rows, tokens.tolist(), strict=True)):
            if row.is_done:
                continue
            made += 1
            if row.wants_logprobs:
                row.logprobs.append(logprobs[at])
            if row.take(token, self._model):
                finished.append(row)
        self._progress(made)  # before those who wait for the rows look at the figures
        for row in finished:
            row.told()
        return torch.tensor([row.is_done for row in self._rows], device=input_ids.device)
