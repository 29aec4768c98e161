"""Rows of chat turns, as trainers take them: `messages`, `conversations`, or `prompt` and `completion` (TRL).

The last is what `tracemill export` writes.
One question and one answer; a system turn is left aside. `reference`, `verifier`, `domain` and `model` are read where
the row has such columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tracemill.core.errors import InputError
from tracemill.factory.layouts import Common, Row
from tracemill.factory.openthoughts import conversation
from tracemill.factory.sources import cell_text

COLUMNS = ("messages", "conversations")


@dataclass(frozen=True, slots=True)
class Chat:
    """Rows of turns."""

    def row(self, row: Mapping[str, Any], place: str, common: Common) -> Row:
        """See `Layout`."""
        column = next((name for name in COLUMNS if name in row), "prompt")
        if column == "prompt" and not {"prompt", "completion"} <= row.keys():
            raise InputError(f"{place}: no column 'messages', and not both of 'prompt' and 'completion'; is it chat?")
        turns = row[column] if column in COLUMNS else _joined(row["prompt"], row["completion"])
        told = {name: cell_text(row.get(name)) for name in ("reference", "verifier", "domain")}
        model = cell_text(row.get("model")) or common.model
        given = {name: value for name, value in told.items() if value}
        return conversation(turns, column, place, replace(common, model=model), **given)


def _joined(prompt: Any, completion: Any) -> Any:
    """All turns; what is no list is left for `conversation` to refuse."""
    return [*prompt, *completion] if isinstance(prompt, list) and isinstance(completion, list) else None
