"""The id of a model folder changes with what it holds, and with nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tracemill.core.errors import InputError
from tracemill.factory import weights
from tracemill.factory.weights import fingerprint, model_at


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


def test_of_large_files_beside_the_weights_pieces_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_PIECE", 16)
    monkeypatch.setattr(weights, "_PIECES", 4)
    path = folder / "notes.txt"
    path.write_text("a" * 10_000)
    before = fingerprint(str(folder))
    path.write_text("a" * 100 + "b" + "a" * 9_899)
    assert fingerprint(str(folder)) == before, "between the pieces"
    path.write_text("a" * 9_999 + "b")
    assert fingerprint(str(folder)) != before


def test_a_folder_is_found_without_a_dot_before_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers takes `models/x` for a folder where there is one, and for a name of the hub elsewhere."""
    monkeypatch.chdir(folder.parent.parent)
    bare = f"{folder.parent.name}/{folder.name}"
    assert model_at(bare) == Path(bare)
    assert fingerprint(bare) == fingerprint(f"./{bare}") == fingerprint(str(folder)) != ""


@pytest.mark.parametrize("model", ["smollm2-135m", "owner/name", "./nowhere", "~nobody-of-that-name/x", "x/" * 5000])
def test_what_is_no_folder_here_has_none(model: str) -> None:
    assert fingerprint(model) == ""
    assert model_at(model) is None


def test_a_folder_without_a_model_has_none_and_is_not_read(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to(folder / "nowhere")
    assert fingerprint(str(folder)) == ""
    assert model_at(str(folder)) is None


def test_a_folder_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights, "_digest", refuse)  # tests may run as root, who reads everything
    with pytest.raises(InputError, match=r"^model .*/model: cannot be read \(Permission denied\)$"):
        fingerprint(str(folder))
