"""What lies beside the weights of a trained model: its card, `tracemill.json`, and the questions that were only asked.

The card says what the model was trained on, and so were the models that it was made with: the one that it started from,
and a reward model. Questions of GRPO's own sources stand in no data set; they lie beside the model and go with it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.types import Prompt
from tracemill.factory.weights import model_at

CARD = "tracemill.json"
_QUESTIONS = "questions-*.jsonl"

Data = dict[str, Any]
"""`dataset`, `version`, `id` and what was taken of it, or `questions` with a file's name."""


def trained_on(folder: Path) -> list[Data]:
    """The data of a model and of those before it; empty where it has no card. Raises InputError for a broken one."""
    card = folder / CARD
    if not card.is_file():
        return []
    try:
        found: list[Data] = json.loads(card.read_text(encoding="utf-8"))["trained_on"]
        for one in found:
            _ = one["questions"] if "questions" in one else (one["dataset"], one["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{card}: does not say what the model was trained on ({error!r}); train it again") from error
    return found


def joined(models: Iterable[str], data: Iterable[Data]) -> list[Data]:
    """What these models were trained on and this data, each once. Raises InputError."""
    found: list[Data] = []
    for one in (*(one for folder in _folders(models) for one in trained_on(folder)), *data):
        if one not in found:
            found.append(one)
    return found


def write(folder: Path, card: Data) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")


def write_questions(folder: Path, name: str, prompts: Sequence[Prompt], models: Iterable[str]) -> None:
    """Put the questions of this training, and those of the models before it, beside a model."""
    for before in _folders(models):
        for file in before.glob(_QUESTIONS):
            shutil.copy(file, folder)
    if prompts:
        lines = (json.dumps({"id": prompt.id, "text": prompt.text}) + "\n" for prompt in prompts)
        (folder / name).write_text("".join(lines), encoding="utf-8")


def _folders(models: Iterable[str]) -> list[Path]:
    return [folder for model in models if (folder := model_at(model)) is not None]
