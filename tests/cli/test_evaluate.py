"""`tracemill evaluate` and `tracemill evaluations` as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Command


def test_figures_stored_and_shown(tracemill: Command, recipe: Callable[..., str]) -> None:
    path = recipe()
    first = tracemill("evaluate", path)
    assert first.code == 0
    assert "evaluation sums, job " in first.out
    lines = [line.split() for line in first.out.splitlines() if line.startswith("all ")]
    figures = [line[1] for line in lines]
    assert figures == ["pass@1", "pass@2", "pass@4", "format", "length", "cut_off", "undecided", "missing"]
    assert lines[0][-2:] == ["20", "80"]
    again = tracemill("evaluate", path, "--json")
    told = json.loads(again.out)
    assert "generating" not in again.err
    assert f"{told['figures'][0]['value']:.1%}" == lines[0][2]
    listed = tracemill("evaluations")
    assert lines[0][2] in listed.out
    (stored,) = map(json.loads, tracemill("evaluations", "--json").out.splitlines())
    assert (stored["job_id"], stored["pass_1"]["samples"]) == (told["job_id"], 80)


def test_against_another(tracemill: Command, recipe: Callable[..., str]) -> None:
    path = recipe()
    tracemill("evaluate", path)
    found = tracemill("evaluate", path, "--model", "b", "--samples", "2", "--temperature", "0.1", "--against", "sums")
    assert found.code == 0
    assert "paired by prompt" in found.out
    assert "fake:b" in found.out
    told = json.loads(tracemill("evaluate", path, "--model", "b", "--json", "--against", "sums").out)
    assert {one["figure"] for one in told["differences"]} >= {"pass@1", "pass@2", "format", "length"}
    assert "pass@4" not in {one["figure"] for one in told["differences"]}  # the newest of that name has two samples
    unknown = tracemill("evaluate", path, "--against", "nothing")
    assert unknown.code == 2
    assert "no other evaluation is called 'nothing'" in unknown.err


def test_contamination_is_refused_in_one_line(tracemill: Command, recipe: Callable[..., str]) -> None:
    path = recipe()
    assert tracemill("run", path).code == 0
    refused = tracemill("evaluate", path, "--trained-on", "sums")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "of the 20 prompts" in refused.err
    allowed = tracemill("evaluate", path, "--trained-on", "sums@1", "--allow-contamination")
    assert allowed.code == 0
    assert "contaminated" in allowed.out


def test_nothing_has_been_evaluated(tracemill: Command) -> None:
    assert tracemill("evaluations").out == "no model has been evaluated yet: tracemill evaluate RECIPE\n"


def test_an_evaluation_that_is_run_cuts_no_data_set(tracemill: Command, recipe: Callable[..., str]) -> None:
    found = tracemill("run", recipe(extra="purpose: evaluation\n"))
    assert found.code == 0
    assert "its figures: tracemill evaluate" in found.out
    assert "data set" not in found.out
