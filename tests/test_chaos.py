"""A few kills of each kind, with a seed; `make chaos` does a hundred."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.chaos import FAILURES, SLACK_S, Round, repeats

from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_different_whatever_is_killed(tmp_path: Path) -> None:
    script, out = Path(__file__).parent / "chaos.py", tmp_path / "out.txt"
    command = [sys.executable, str(script), "--kills", "8", "--seed", "5", "--prompts", "200"]
    with out.open("w") as file:  # not a pipe, which what outlives the script would hold open
        done = subprocess.run(command, stdout=file, stderr=file)
    lines = out.read_text().splitlines()
    assert done.returncode == 0, lines[-30:]
    figures = next(json.loads(line) for line in reversed(lines) if line.startswith('{"kills"'))
    assert sum(figures["kills"].values()) == 8
    assert {what: figures[what] for what in ("lost", "duplicated", "repeated", "different")} == {
        "lost": 0, "duplicated": 0, "repeated": 0, "different": 0,
    }  # fmt: skip


def test_what_is_asked_after_a_start_at_which_it_was_durable_is_repeated() -> None:
    starts = [(100.0, set[str]()), (200.0, {"a", "b"})]
    first = [("a", 110.0), ("b", 111.0), ("c", 112.0)]
    assert repeats(starts, [*first, ("c", 210.0)]) == set(), "it was not durable"
    assert repeats(starts, [*first, ("a", 200.0 + SLACK_S)]) == set(), "what the driver before had asked for"
    assert repeats(starts, [*first, ("a", 201.0 + SLACK_S), ("c", 210.0)]) == {"a"}


def test_a_driver_that_always_fails_ends_the_script_with_its_log(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("""
name: broken
prompts: [{source: reasoning_gym, task: gcd, count: 2}]
generate: {engine: fake, engine_options: {broken: no licence}}
""")
    places = {"TRACEMILL_CORPUS": str(tmp_path / "corpus"), "TRACEMILL_JOBS_URL": f"sqlite:///{tmp_path}/jobs.db"}
    plan = make_plan(recipes.load(str(recipe)))
    here = Round(tmp_path, plan, recipe, os.environ | places, failures=FAILURES - 2)
    here.start()
    try:
        with pytest.raises(SystemExit, match=r"(?s)cannot start: no licence.*5 drivers failed in a row"):
            _to_the_end(here)
    finally:
        here.stop()
    assert len(here.starts) == 2


def _to_the_end(here: Round) -> None:
    while here.goes_on():
        time.sleep(0.1)
