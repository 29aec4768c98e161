"""Rows for the trainers: traces as tokens for SFT, pairs for DPO and reward models, questions for GRPO.

Left out and counted are rows that are longer than `max_length` or the model's window, traces that the token limit ended
(cut, or with an end put to them, they would teach what no model wrote), and questions whose answers nothing can judge.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracemill.core.types import Item, Prompt, Trace
from tracemill.trainers.options import Method, Training
from tracemill.trainers.rewards import Rewards
from tracemill.trainers.text import Text
from tracemill.trainers.trl_rewards import rl_row

Row = dict[str, Any]
Pair = tuple[Prompt, Trace, Trace]
"""A prompt with the trace that was kept and the one that is wrong."""

_IDS, _TEXT = pa.list_(pa.int32()), pa.string()
SCHEMAS: Mapping[Method, pa.Schema] = {
    "sft": pa.schema([("input_ids", _IDS), ("labels", _IDS)]),
    "dpo": pa.schema([("prompt", _TEXT), ("chosen", _TEXT), ("rejected", _TEXT)]),
    "reward": pa.schema([("chosen_ids", _IDS), ("rejected_ids", _IDS)]),
    "grpo": pa.schema([(name, _TEXT) for name in ("prompt", "question", "reference", "verifier", "metadata")]),
}
"""Columns of the rows of each method."""


_BATCH = 1000


def save(rows: Iterable[Row], schema: pa.Schema, folder: Path) -> None:
    """Write rows as `datasets` saves them. By way of a memory-mapped stream: they need not fit into memory."""
    from datasets import Dataset, disable_progress_bars  # takes seconds to import

    disable_progress_bars()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rows-", dir=folder.parent) as aside:
        stream, iterator = str(Path(aside) / "stream"), iter(rows)
        with pa.OSFile(stream, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            while batch := list(islice(iterator, _BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        Dataset.from_file(stream).save_to_disk(str(folder))


@dataclass(slots=True)
class Rows:
    """Makes rows, and counts them."""

    text: Text
    max_length: int
    """Longest row; shorter where the model's window is."""
    reserved: int = 0
    """Tokens of a row that a completion takes, of GRPO."""
    rewards: Rewards = field(default_factory=Rewards)
    """What judges the answers to GRPO's questions."""
    made: int = 0
    too_long: int = 0
    cut_off: int = 0
    """Traces, or pairs with one, that the token limit ended."""
    unjudged: int = 0
    """Questions no answer to which can have a reward."""
    tokens: int = 0
    """Of all rows that were made, without padding."""
    longest: int = 0
    """Tokens of the longest, left out or not; of GRPO with room for its completion."""

    def __post_init__(self) -> None:
        self.max_length = min(self.max_length, self.text.window or self.max_length)

    @classmethod
    def of(cls, training: Training) -> Rows:
        """For a training. Raises InputError as `Text.of` does."""
        text, options = Text.of(training.model, training.thinking), training.options
        if training.method != "grpo":
            return cls(text, options.max_length)
        return cls(text, options.max_length, options.max_tokens, training.rewards(text.prefill))

    def sft(self, items: Iterable[Item]) -> Iterator[Row]:
        """`input_ids` and `labels`: -100 where the loss does not count, which is the prompt."""
        for item in items:
            if self._is_cut_off(item.trace):
                continue
            prompt, completion = self._ids(item.prompt, item.trace)
            if self._fits(len(prompt) + len(completion)):
                yield {"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion}

    def dpo(self, pairs: Iterable[Pair]) -> Iterator[Row]:
        """`prompt`, `chosen` and `rejected` as text; TRL's DPOTrainer takes no tokens."""
        for prompt, *traces in pairs:
            if self._is_cut_off(*traces):
                continue
            shown = self.text.prompt(prompt.text)
            chosen, rejected = (self.text.completion(shown, one.reasoning, one.answer, one.faults) for one in traces)
            if self._fits(max(sum(map(len, self._ids(prompt, one))) for one in traces)):
                yield {"prompt": shown, "chosen": chosen, "rejected": rejected}

    def reward(self, pairs: Iterable[Pair]) -> Iterator[Row]:
        """`chosen_ids` and `rejected_ids`, each prompt and completion."""
        for prompt, *traces in pairs:
            if self._is_cut_off(*traces):
                continue
            chosen, rejected = (list(chain(*self._ids(prompt, one))) for one in traces)
            if self._fits(max(len(chosen), len(rejected))):
                yield {"chosen_ids": chosen, "rejected_ids": rejected}

    def grpo(self, prompts: Iterable[Prompt]) -> Iterator[Row]:
        """Questions as text, with what judges their answers."""
        for prompt in prompts:
            if not self.rewards.can_judge(prompt):
                self.unjudged += 1
                continue
            shown = self.text.prompt(prompt.text)
            if self._fits(len(self.text.tokenizer.encode(shown)), self.reserved):
                yield rl_row(prompt, shown)

    def _ids(self, prompt: Prompt, trace: Trace) -> tuple[list[int], list[int]]:
        return self.text.ids(prompt.text, trace.reasoning, trace.answer, trace.faults)

    def _is_cut_off(self, *traces: Trace) -> bool:
        found = any(trace.finish_reason == "length" for trace in traces)
        self.cut_off += found
        return found

    def _fits(self, tokens: int, reserved: int = 0) -> bool:
        self.longest = max(self.longest, tokens + reserved)
        if tokens + reserved > self.max_length:
            self.too_long += 1
            return False
        self.made += 1
        self.tokens += tokens
        return True
