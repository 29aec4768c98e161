"""The id of a model folder changes with what it holds, and with nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tracemill.factory import weights
from tracemill.factory.weights import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "model.safetensors").write_bytes(os.urandom(10_000))
    (made / "config.json").write_text("{}")
    (made / "tokenizer.json").write_text("{}")
    return made


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_each_file_counts(folder: Path, name: str) -> None:
    before = fingerprint(str(folder))
    path = folder / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    assert fingerprint(str(folder)) not in ("", before)


def test_a_copy_is_the_same_and_checkpoints_do_not_count(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "other")
    (copied / "checkpoint-1").mkdir()
    (copied / "checkpoint-1" / "model.safetensors").write_bytes(b"1")
    assert fingerprint(str(copied)) == fingerprint(str(folder))


def test_a_change_in_the_middle_of_a_large_file_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merged adapter leaves a file's size, and its first and last MiB, as they were."""
    monkeypatch.setattr(weights, "_PIECE", 16)
    path = folder / "model.safetensors"
    before, data = fingerprint(str(folder)), bytearray(path.read_bytes())
    for at in range(100, 9_900, 50):
        data[at] ^= 1
    path.write_bytes(data)
    assert fingerprint(str(folder)) != before


@pytest.mark.parametrize("model", ["smollm2-135m", "owner/name", "./nowhere"])
def test_what_is_no_folder_here_has_none(model: str) -> None:
    assert fingerprint(model) == ""
