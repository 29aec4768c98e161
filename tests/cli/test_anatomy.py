"""`tracemill anatomy` as a person runs it: figures of a job, and a fake labeller beside the markers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def job(tracemill: Command, recipe: Callable[..., str]) -> str:
    assert tracemill("run", recipe(prompts=10)).code == 0
    return "sums"


def test_the_figures_of_kept_and_rejected_chains(tracemill: Command, job: str) -> None:
    shown = tracemill("anatomy", job)
    assert shown.code == 0, shown.err
    assert shown.err == "", "the job has measured them"
    kept = json.loads(tracemill("sql", "SELECT count(*) AS n FROM datasets", "--format", "jsonl").out)["n"]
    assert re.search(rf"kept +{kept} ", shown.out)
    for figure in ("verification", "backward chaining", "final share", "flesch"):
        assert f"  {figure}" in shown.out
    told = json.loads(tracemill("anatomy", job, "--json").out)
    rows = {(row["figure"], row["is_kept"]): row for row in told["figures"]}
    assert rows["words", True]["chains"] == kept
    assert rows["words", False]["chains"] > 0
    assert rows["words", True]["p10"] <= rows["words", True]["p50"] <= rows["words", True]["p90"]
    assert tracemill("anatomy", told["job_id"]).out == shown.out, "by its id"


def test_a_labeller_beside_the_markers(tracemill: Command, job: str) -> None:
    shown = tracemill("anatomy", job, "--labeller", "small", "--engine", "fake", "--samples", "7", "--seed", "3")
    assert shown.code == 0, shown.err
    assert "fake:small counted 7 of the 7 chains drawn" in shown.out
    assert "fake:small looked at 7 of 7 chains" in shown.err
    again = tracemill(
        "anatomy", job, "--labeller", "small", "--engine", "fake", "--samples", "7", "--seed", "3", "--json"
    )
    told = json.loads(again.out)
    assert again.err == "", "they are counted"
    assert (told["sampled"], told["labelled"]) == (7, 7)
    for one in told["agreement"].values():
        assert one["both"] + one["only_first"] + one["only_second"] + one["neither"] == 7
    rows = tracemill("sql", "SELECT labeller, count(*) AS n FROM anatomy GROUP BY 1", "--format", "jsonl").out
    assert {"labeller": "fake:small", "n": 7} in map(json.loads, rows.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "job: no job is called 'nope'"),
        (("sums", "--engine", "fake"), "--engine, --option: go with --labeller, which names a model"),
        (("sums", "--option", "base_url=x"), "--engine, --option: go with --labeller, which names a model"),
        (("sums", "--labeller", "m", "--engine", "openai"), "--labeller.engine_options.base_url: name the server"),
        (("sums", "--labeller", "m", "--option", "x"), "--option: 'x' has no value; give NAME=VALUE"),
    ],
)
def test_what_is_wrong_is_one_line(tracemill: Command, job: str, arguments: tuple[str, ...], message: str) -> None:
    done = tracemill("anatomy", *arguments)
    assert done.code == 2, done
    assert message in done.err
    assert done.err.count("\n") == 1
