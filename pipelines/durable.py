"""What became of the samples that a job's earlier runs made durable, in 13 bytes a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tracemill.core.types import Outcome
from tracemill.factory.strategies.strategy import Draw, Result

_OUTCOMES = tuple(Outcome)
_SHIFT = 24  # bits of a sample's number


class Durable:
    """Looks up the result of a draw."""

    def __init__(self, ids: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
        """`ids` are those of the prompts by place; rows hold prompt_id, sample, tokens and outcome."""
        places = {prompt_id: place for place, prompt_id in enumerate(ids)}
        found = (
            (places[row["prompt_id"]] << _SHIFT | row["sample"], row["tokens"], _OUTCOMES.index(row["outcome"]))
            for row in rows
            if row["prompt_id"] in places
        )
        table = np.fromiter(found, dtype=[("key", "u8"), ("tokens", "u4"), ("outcome", "u1")])
        table = table[np.argsort(table["key"])]
        # Arrays of their own: numpy copies a column of a packed table whole before it searches it.
        self._keys, self._tokens = table["key"].copy(), table["tokens"].copy()
        self._outcomes = table["outcome"].copy()

    def __call__(self, draw: Draw) -> Result | None:
        key = draw.task << _SHIFT | draw.sample
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at == len(self._keys) or int(self._keys[at]) != key:
            return None
        return Result(_OUTCOMES[int(self._outcomes[at])], int(self._tokens[at]))

    def __len__(self) -> int:
        return len(self._keys)
