"""Rows for the trainers: traces as tokens for SFT, pairs for DPO and reward models, questions for GRPO.

A row that is longer than `max_length` is left out and counted: cut, it would teach to think without an end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracemill.core.types import Item, Prompt, Trace
from tracemill.trainers.options import Method
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
    made: int = 0
    too_long: int = 0
    tokens: int = 0
    """Of all rows that were made, without padding."""
    longest: int = 0
    """Tokens of the longest that was left out."""

    def sft(self, items: Iterable[Item]) -> Iterator[Row]:
        """`input_ids` and `labels`: -100 where the loss does not count, which is the prompt."""
        for item in items:
            prompt, completion = self._ids(item.prompt, item.trace)
            if self._fits(len(prompt) + len(completion)):
                yield {"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion}

    def dpo(self, pairs: Iterable[Pair]) -> Iterator[Row]:
        """`prompt`, `chosen` and `rejected` as text; TRL's DPOTrainer takes no tokens."""
        for prompt, *traces in pairs:
            shown = self.text.prompt(prompt.text)
            chosen, rejected = (self.text.completion(shown, one.reasoning, one.answer) for one in traces)
            if self._fits(max(sum(map(len, self._ids(prompt, one))) for one in traces)):
                yield {"prompt": self.text.bare(shown), "chosen": chosen, "rejected": rejected}

    def reward(self, pairs: Iterable[Pair]) -> Iterator[Row]:
        """`chosen_ids` and `rejected_ids`, each prompt and completion."""
        for prompt, *traces in pairs:
            chosen, rejected = (list(chain(*self._ids(prompt, one))) for one in traces)
            if self._fits(max(len(chosen), len(rejected))):
                yield {"chosen_ids": chosen, "rejected_ids": rejected}

    def grpo(self, prompts: Iterable[Prompt]) -> Iterator[Row]:
        """Questions as text, with what judges their answers."""
        for prompt in prompts:
            shown = self.text.prompt(prompt.text)
            if self._fits(len(self.text.tokenizer.encode(shown))):
                yield rl_row(prompt, self.text.bare(shown))

    def _ids(self, prompt: Prompt, trace: Trace) -> tuple[list[int], list[int]]:
        return self.text.ids(prompt.text, trace.reasoning, trace.answer)

    def _fits(self, tokens: int) -> bool:
        if tokens > self.max_length:
            self.too_long += 1
            self.longest = max(self.longest, tokens)
            return False
        self.made += 1
        self.tokens += tokens
        return True
