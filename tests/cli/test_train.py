"""`tracemill train` as a user runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from tracemill.trainers.scratch import Shape, make


@pytest.fixture
def training(tracemill: Command, recipe: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """A file for `tracemill train` on a data set of right sums."""
    assert tracemill("run", recipe(extra="filters: []\n")).code == 0
    make(tmp_path / "tiny", Shape(layers=1, width=32, heads=2))

    def write(steps: int, more: str = "", log_every: int = 1) -> str:
        path = tmp_path / "toy.yaml"
        path.write_text(
            "name: toy\ntrain:\n"
            f"  method: {{sft: {{steps: {steps}, learning_rate: 1.0e-3, batch: 8, log_every: {log_every}{more}}}}}\n"
            f"  model: {tmp_path / 'tiny'}\n  data: [sums]\n"
        )
        return str(path)

    return write


def test_it_prints_what_it_came_to_and_is_not_done_again(tracemill: Command, training: Callable[..., str]) -> None:
    path = training(3)
    first = tracemill("train", path)
    assert first.code == 0
    told = (
        r"training [0-9a-f]{32}: sft of .*/tiny makes toy-[0-9a-f]{8}\n"
        r"model (.*/models/toy-[0-9a-f]{8}): trained on [\d,]+ tokens in 3 steps, \d+ s\n"
    )
    done = re.fullmatch(told, first.out)
    assert done, first.out
    assert re.fullmatch(
        r"  reading\n  \d+ rows, [\d,]+ tokens\n  training\n  step 1 of 3: loss \d\.\d+\n", first.err
    ), first.err
    again = tracemill("train", path, "--json")
    assert json.loads(again.out)["model"] == done[1]
    assert json.loads(again.out)["new"] is False


def test_a_file_of_another_kind_is_named_with_its_command(tracemill: Command, training: Callable[..., str]) -> None:
    path = training(3)
    for command in ("run", "evaluate"):
        found = tracemill(command, path)
        assert (found.code, found.err) == (
            2,
            f"tracemill: {path}: a file with 'train' is for: tracemill train {path}\n",
        )
    found = tracemill("train", "demo")
    assert found.code == 2
    assert re.fullmatch(r"tracemill: (\S+/demo\.yaml): a file with 'prompts' is for: tracemill run \1\n", found.err)


def test_a_mistake_is_one_line(tracemill: Command, training: Callable[..., str]) -> None:
    found = tracemill("train", training(3, ", stepz: 1"))
    assert (found.code, found.out) == (2, "")
    assert found.err == "tracemill: train.method.sft.stepz: 'sft' has no such option (did you mean 'steps'?)\n"


def test_sigterm_ends_it_with_a_checkpoint_and_one_line(training: Callable[..., str], tracemill: Command) -> None:
    path = training(100_000, log_every=3)
    command = [str(Path(sys.executable).parent / "tracemill"), "train", path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "step" not in process.stderr.readline():
        assert process.poll() is None
    second = tracemill("train", path)
    assert second.code == 5
    assert re.fullmatch(r"tracemill: .*: another process does this training; stop it first\n", second.err)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    line = re.search(
        rf"tracemill: stopped after step (\d+), with a checkpoint; to go on: tracemill train {path}\n$", err
    )
    assert line, err
    (work,) = (Path(path).parent / "models").glob(".toy-*")
    assert (work / "checkpoints" / f"checkpoint-{line[1]}" / "trainer_state.json").is_file()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    while "going on" not in (told := process.stderr.readline()):
        assert process.poll() is None
    assert told == f"  going on from the checkpoint of step {int(line[1]):,}\n"
    process.kill()
    process.communicate()
