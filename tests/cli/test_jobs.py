"""Orders from another process to a real `tracemill run`, and the list of jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracemill.cli.jobs import find_job
from tracemill.core.errors import InputError, NotFound
from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import Job, JobState, JobStore
from tracemill.pipelines.recipe import Recipe

Command = Callable[..., Any]
Write = Callable[..., str]
PROMPTS, SAMPLES = 400, 100
ALL = PROMPTS * SAMPLES


@pytest.fixture
def long_recipe(recipe: Write) -> str:
    """Sums with three terms, of which no two are the same prompt."""
    path = Path(recipe(PROMPTS, SAMPLES))
    path.write_text(path.read_text().replace("{min_terms: 2, max_terms: 2}", "{min_terms: 3, max_terms: 3}"))
    return str(path)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "tracemill"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def the_job() -> Job:
    (job,) = JobStore(settings().jobs_url).list()
    return job


def wait_for(count: int) -> None:
    """Until the store says that so many samples are durable."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(job.progress.get("durable", 0) >= count for job in JobStore(settings().jobs_url).list()):
            return
        time.sleep(0.05)
    raise AssertionError("the run did not get that far")


def samples() -> list[str]:
    return [row["id"] for row in Corpus.open(settings().corpus).rows("SELECT id FROM traces", {})]


def test_a_run_is_paused_resumed_and_harvested_by_others(tracemill: Command, long_recipe: str) -> None:
    running = start("run", long_recipe)
    wait_for(1)
    paused = tracemill("pause", "sums")
    assert re.fullmatch(r"job sums \([0-9a-f]{8}\) is running, asked to pause\n", paused.out), paused
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, (out, err)
    short = the_job().id[:8]
    kept = samples()
    assert (
        err == f"tracemill: paused; {len(kept):,} of {ALL:,} samples are durable; to go on: tracemill resume {short}\n"
    )
    assert 0 < len(kept) < ALL
    again = tracemill("pause", short)
    assert (again.code, again.out) == (0, f"job sums ({short}) is paused\n")

    resumed = start("resume", short[:5])
    wait_for(len(kept) + 1)
    assert tracemill("harvest", "su").out == f"job sums ({short}) is running, asked to harvest\n"
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err
    there = samples()
    assert len(kept) < len(there) == len(set(there)) < ALL
    assert set(kept) < set(there)
    assert f"harvested: {len(there):,} of {ALL:,} samples were made" in out
    assert "data set sums version 1 (new)" in out
    assert the_job().totals.samples == len(there), "of both runs"
    listed = tracemill("jobs").out.splitlines()
    assert re.match(rf"{short} +sums +finished \(harvested\) +█*░* +\d+% +\d+\.\d%", listed[1]), listed
    shown = tracemill("jobs", "show", "sums").out
    assert f"samples    {len(there):,} of {ALL:,}" in shown
    assert f"generated{len(there):>16,} 100.0%" in shown
    refused = tracemill("pause", "sums")
    assert (refused.code, refused.err) == (
        2,
        f"tracemill: job sums ({short}) is finished (harvested): it cannot pause, it can resume\n",
    )


def test_a_cancelled_run_keeps_its_samples_for_queries_and_for_the_next_run(
    tracemill: Command, long_recipe: str
) -> None:
    running = start("run", long_recipe)
    wait_for(1)
    tracemill("cancel", "sums")
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert re.fullmatch(
        rf"tracemill: cancelled; [\d,]+ of {ALL:,} samples are durable; to go on: tracemill run {long_recipe}\n", err
    )
    assert the_job().state is JobState.CANCELLED
    assert "is cancelled: it cannot resume, it can harvest" in tracemill("resume", "sums").err
    kept = samples()
    assert kept
    harvested = tracemill("run", long_recipe, "--harvest")
    assert harvested.code == 0, harvested.err
    assert "generating" not in harvested.out
    assert f"harvested: {len(kept):,} of {ALL:,} samples were made" in harvested.out
    assert sorted(samples()) == sorted(kept)


def test_a_killed_run_is_shown_as_what_it_is_and_can_be_harvested(
    tracemill: Command, long_recipe: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running = start("run", long_recipe)
    wait_for(1)
    assert " running " in tracemill("jobs").out
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    assert the_job().state is JobState.RUNNING, "it could not say so"
    assert "stopped (its process died)" in tracemill("jobs").out
    monkeypatch.chdir(tmp_path)
    harvested = tracemill("harvest", "sums")
    assert harvested.code == 0, harvested.err
    assert (the_job().state, the_job().harvested) == (JobState.FINISHED, True)


def test_jobs_of_nothing_and_of_a_run_that_is_over(tracemill: Command, recipe: Write) -> None:
    assert tracemill("jobs").out == "no job has run yet: tracemill run demo\n"
    assert tracemill("run", recipe(prompts=5)).code == 0
    header, line = tracemill("jobs").out.splitlines()
    assert header.split() == ["id", "name", "state", "progress", "accepted", "tokens/s", "ETA", "age"]
    assert " finished " in line
    assert " 100% " in line
    nothing = tracemill("pause", "nope")
    assert nothing.err.startswith("tracemill: job: no job is called 'nope', or has an id that begins so")


def test_a_job_is_named_by_the_beginning_of_its_name_or_id_if_there_is_one() -> None:
    store = JobStore(settings().jobs_url)

    def named(name: str) -> Recipe:
        return recipes.parse({"name": name, "prompts": [{"source": "reasoning_gym", "task": "chain_sum", "count": 1}]})

    for job_id, name in (("a1b2", "sums"), ("a1c3", "sums"), ("b4", "sumo"), ("c5", "a1"), ("a9", "dates")):
        store.submit(job_id, named(name), "command")
    for asked, found in (("sums", "a1c3"), ("a1b", "a1b2"), ("b", "b4"), ("a1", "c5"), ("d", "a9"), ("sumo", "b4")):
        assert find_job(asked, store).id == found, asked
    for asked, several in (("su", "sumo, sums"), ("a", "a1, a1b2, a1c3, a9")):
        with pytest.raises(InputError, match=f"^job: '{asked}' is the beginning of several: {several}$"):
            find_job(asked, store)
    with pytest.raises(NotFound, match=r"no job is called 'sumz', or has an id that begins so \(did you mean 'sum"):
        find_job("sumz", store)
