"""Ctrl-C and kill -9 in the middle of a run: what was durable stays, once, and the next run goes on from it."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus

PROMPTS, SAMPLES = 40, 20


def start(recipe: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "tracemill"), "run", recipe]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_samples(count: int) -> None:
    """Until so many samples are durable in the write-ahead file or the tables."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        segments = list(Path(settings().corpus).glob("ledger/*/*.jsonl"))
        if sum(segment.read_bytes().count(b"\n") for segment in segments) >= count:
            return
        time.sleep(0.002)
    raise AssertionError("the run did not get that far")


def trace_ids() -> list[str]:
    return [row["id"] for row in Corpus.open(settings().corpus).rows("SELECT id FROM traces", {})]


def durable_lines() -> set[str]:
    """Ids in the write-ahead file after a kill; the last line may be torn."""
    found: set[str] = set()
    for segment in Path(settings().corpus).glob("ledger/*/*.jsonl"):
        whole = segment.read_text(errors="replace").rpartition("\n")[0]
        found.update(re.findall(r'"id": ?"([0-9a-f]{32})"', whole))
    return found


def test_ctrl_c_keeps_what_is_durable_and_says_how_to_go_on(recipe: Callable[..., str]) -> None:
    path = recipe(PROMPTS, SAMPLES)
    process = start(path)
    wait_for_samples(40)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert re.fullmatch(
        rf"tracemill: stopped; [\d,]+ of 800 samples are durable; to go on: tracemill run {path}\n", err
    )
    kept = trace_ids()
    assert 40 <= len(kept) == len(set(kept)) < PROMPTS * SAMPLES
    done = start(path)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert len(trace_ids()) == len(set(trace_ids())) == PROMPTS * SAMPLES
    assert set(kept) <= set(trace_ids())


@pytest.mark.ray
def test_sigterm_stops_a_job_with_an_engine_in_ray_as_ctrl_c_does(recipe: Callable[..., str]) -> None:
    """Ray puts handlers of its own in the place of those of the command."""
    path = recipe(PROMPTS, SAMPLES).replace(".yaml", ".ray.yaml")
    slow = "{engine: fake, replicas: 1, engine_options: {seconds: 0.3}, "
    Path(path).write_text(Path(path.replace(".ray.yaml", ".yaml")).read_text().replace("{engine: fake, ", slow))
    process = start(path)
    wait_for_samples(40)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert re.fullmatch(
        rf"tracemill: stopped; [\d,]+ of 800 samples are durable; to go on: tracemill run {path}\n", err
    )
    assert 40 <= len(trace_ids()) < PROMPTS * SAMPLES


@pytest.mark.ray
def test_an_engine_that_this_machine_can_never_hold_is_refused_at_once(recipe: Callable[..., str]) -> None:
    path = recipe(PROMPTS, SAMPLES)
    text = Path(path).read_text()
    Path(path).write_text(text.replace("{engine: fake, ", "{engine: fake, replicas: 1, gpus: 500, "))
    process = start(path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert re.match(r"tracemill: gpus: one replica needs 500 GPUs and this machine has \d+; lower gpus, or join", err)


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_loses_nothing_durable_and_repeats_nothing(recipe: Callable[..., str], seed: int) -> None:
    path, dice = recipe(PROMPTS, SAMPLES), random.Random(seed)
    seen: set[str] = set()
    for _ in range(2):
        process = start(path)
        wait_for_samples(dice.randint(1, 200))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        seen |= durable_lines()
    done = start(path)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    ids = trace_ids()
    assert len(ids) == len(set(ids)) == PROMPTS * SAMPLES
    assert seen <= set(ids)
    made = int(re.findall(r"([\d,]+)/800 samples", out)[-1].replace(",", ""))
    assert made == 800
