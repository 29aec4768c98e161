"""Which weights a model folder holds, as an id that changes with them: the path alone does not say.

Reads no more than 256 MiB of the weights, evenly spread, and as much of the small files, which is all of them: 0.3 s
for a model of 1 GB. Training that changes one in fifty MiB or more, as adapters merged into one kind of matrix do, is
seen in practice always. Of a folder that holds no model nothing is read.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tracemill.core.errors import InputError
from tracemill.core.ids import content_id

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_SMALL = (".json", ".txt", ".jinja", ".model")
_PIECE = 1 << 20
_PIECES = 256
"""Most pieces that are read of the weights, and of the small files; of each file its first and last."""


def named_folder(model: str) -> Path | None:
    """The folder that a recipe's model names, whatever is there; None for a packaged or hub model.

    `owner/name` is a folder where there is one of that name: so transformers and vLLM take it.
    """
    try:
        path = Path(model).expanduser()
        is_folder = model.startswith((".", "/", "~")) or ("/" in model and path.is_dir())
    except (OSError, RuntimeError):  # a name that is no path; the home of nobody
        return Path(model)
    return path if is_folder else None


def holds_model(folder: Path) -> bool:
    """Whether it is in the transformers format."""
    try:
        return (folder / "config.json").is_file()
    except OSError:  # not ours to look into
        return False


def model_at(model: str) -> Path | None:
    """The model folder that a recipe's model names; None for a packaged or hub model, and for one that is not here."""
    folder = named_folder(model)
    return folder if folder is not None and holds_model(folder) else None


def fingerprint(model: str) -> str:
    """The id of what the model's folder holds: weights, and the JSON, text and template files beside them.

    "" where `model` is no model folder that is here. Other folders in it, such as a trainer's checkpoints, do not
    count. Raises InputError where one of these files cannot be read.
    """
    folder = model_at(model)
    if folder is None:
        return ""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        weights = [path for path in files if path.suffix in WEIGHTS]
        total = sum(path.stat().st_size for path in weights)
        parts = [f"{path.name} {path.stat().st_size} {_digest(path, total)}" for path in weights]
        small = [path for path in files if path.suffix in _SMALL]
        total = sum(path.stat().st_size for path in small)
        parts += [f"{path.name} {_digest(path, total)}" for path in small]
    except OSError as error:
        raise InputError(f"model {model}: cannot be read ({error.strerror})") from error
    return content_id("weights", *parts)


def _digest(path: Path, total: int) -> str:
    """Of evenly spread pieces, as many as is the file's share of `total` bytes; of all where these pieces are all."""
    size, digest = path.stat().st_size, hashlib.sha256()
    count = max(2, _PIECES * size // max(1, total))
    with path.open("rb") as file:
        if size <= count * _PIECE:
            while piece := file.read(_PIECE):
                digest.update(piece)
            return digest.hexdigest()
        for number in range(count):
            file.seek((size - _PIECE) * number // (count - 1), os.SEEK_SET)
            digest.update(file.read(_PIECE))
    return digest.hexdigest()
