"""The loop on two processes of Ray Train, one of which is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file

from tracemill.core.errors import CorpusError, InputError, SetupError
from tracemill.core.ids import prompt_id
from tracemill.core.types import Item, Prompt
from tracemill.trainers import cluster
from tracemill.trainers.cluster import Workers, _Following, train_on_ray
from tracemill.trainers.loop import Work, train
from tracemill.trainers.options import Sft, Training
from tracemill.trainers.rows import SCHEMAS, Rows, save
from tracemill.trainers.scratch import Shape, make
from tracemill.trainers.text import Text
from tracemill.verifiers.judging import unsampled_trace

STEPS, SAVE_EVERY, KILL_AT = 24, 4, 5


def item(number: int) -> Item:
    question = f"What is {number} + {number}?"
    prompt = Prompt(prompt_id(question, "math", str(2 * number)), question, "math", "math", str(2 * number), "test", {})
    return Item(prompt, unsampled_trace(prompt, str(2 * number), f"Twice {number}.", (), "native"))


def prepared(folder: Path) -> tuple[Training, Work, Work]:
    """A training, and its folders for one process and for two."""
    model = str(folder / "tiny")
    make(Path(model), Shape(layers=1, width=32, heads=2))
    one, two = Work(folder / "one"), Work(folder / "two")
    for work in (one, two):
        save(Rows(Text.of(model, "native"), 200).sft(map(item, range(96))), SCHEMAS["sft"], work.data)
    options = Sft(learning_rate=3e-3, steps=STEPS, batch=16, per_device=8, log_every=1, save_every=SAVE_EVERY)
    return Training("run", "sft", model, "native", options, seed=1), one, two


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")  # sets its own deprecated fields
def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    training, alone, work = prepared(tmp_path)
    wanted: dict[int, float] = {}
    train(training, alone, lambda step, last, figures: wanted.__setitem__(step, figures["loss"]))
    told: dict[int, set[float]] = {}
    killed: list[int] = []
    seen: list[int] = []

    def report(step: int, last: int, figures: dict[str, float]) -> None:
        told.setdefault(step, set()).add(figures["loss"])
        assert last == STEPS
        if step >= KILL_AT:
            seen[:] = workers() or seen
        if step >= KILL_AT and not killed:
            killed.append(seen[1])
            os.kill(seen[1], signal.SIGKILL)

    train_on_ray(training, work, report, lambda: False, Workers(2, retries=1), None)
    assert killed
    assert killed[0] not in seen, "another one went on"
    assert sorted(told) == list(range(1, STEPS + 1))
    assert {step: len(losses) for step, losses in told.items()} == dict.fromkeys(wanted, 1), "as before the kill"
    assert {step: losses.pop() for step, losses in told.items()} == pytest.approx(wanted, rel=5e-3)
    one, two = (load_file(folder.model / "model.safetensors") for folder in (alone, work))
    assert all((one[weight] - two[weight]).abs().max() < 1e-2 for weight in one)


def workers() -> list[int]:
    """Processes of Ray Train below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def test_what_a_worker_refuses_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    training, work, _ = prepared(tmp_path)
    config = {"training": replace(training, model=str(tmp_path / "none")), "work": work, "gpus": 0}
    with pytest.raises(InputError, match=r"^train.model: transformers finds no tokenizer in "):
        cluster._work(config)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "", "a worker without GPUs sees none"
    cluster._work(config)  # Ray's next attempt
    with pytest.raises(InputError, match=r"^train.model: transformers finds no tokenizer in "):
        cluster.raise_refusal(work)


@pytest.mark.ray
def test_more_than_this_machine_has_is_refused_at_once(tmp_path: Path) -> None:
    training, work, _ = prepared(tmp_path)
    with pytest.raises(SetupError, match=r"^train.cluster: 3 workers need 3000 CPUs and this machine has \d+; lower"):
        train_on_ray(training, work, lambda *_: None, lambda: False, Workers(3, cpus=1000), None)


def test_what_a_report_raises_is_raised_when_the_workers_end(tmp_path: Path) -> None:
    log = tmp_path / "figures.jsonl"
    told: list[int] = []

    def report(step: int, last: int, figures: dict[str, float]) -> None:
        told.append(step)
        if step == 2:
            raise CorpusError("the corpus is full")

    def follow() -> None:
        with _Following(log, report) as following:
            log.write_text("".join(f'[{step}, 3, {{"loss": 1.0}}]\n' for step in (1, 2, 3)))
            while following.failure is None:
                time.sleep(0.05)

    with pytest.raises(CorpusError, match=r"^the corpus is full$"):
        follow()
    assert told == [1, 2]
