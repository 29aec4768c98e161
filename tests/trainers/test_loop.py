"""What stands in a training's folder, and which figures count."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tracemill.core.errors import SetupError
from tracemill.trainers.callbacks import figures_of
from tracemill.trainers.loop import Work, check_installed


def checkpoint(work: Work, step: int, random: bool = True, state: str | None = None) -> Path:
    folder = work.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if random:
        (folder / "rng_state.pth").write_bytes(b"")
    history = [{"loss": 1.0 / at, "step": at} for at in range(1, step + 1)]
    told = json.dumps({"global_step": step, "max_steps": 30, "log_history": history})
    (folder / "trainer_state.json").write_text(told if state is None else state)
    return folder


def test_the_last_checkpoint_is_the_last_whole_one(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert work.last_checkpoint() is None
    assert list(work.logged()) == []
    whole = checkpoint(work, 9)
    (checkpoint(work, 10) / "trainer_state.json").unlink()
    checkpoint(work, 20, state='{"global_step": 20, "log_hi')
    checkpoint(work, 30, random=False)
    assert work.last_checkpoint() == whole
    assert list(work.logged()) == [(at, {"loss": 1 / at}) for at in range(1, 10)]
    assert checkpoint(work, 11) == work.last_checkpoint()


def test_numbers_are_figures_and_the_summary_of_this_process_is_not() -> None:
    assert figures_of({"loss": 0.5, "num_tokens": 3, "step": 2, "note": "x"}) == {"loss": 0.5, "num_tokens": 3.0}
    assert figures_of({"train_runtime": 3.0, "train_loss": 0.1, "epoch": 1}) == {}


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed()
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(SetupError, match=r"^trl is not installed: pip install 'tracemill\[train\]'$"):
        check_installed()
