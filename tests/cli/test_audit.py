"""`tracemill audit` as a person runs it, over a job without gold that the fake engine made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracemill.core import plugins

Command = Callable[..., Any]


@pytest.fixture
def goldless(tracemill: Command, tmp_path: Path) -> str:
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps({"prompt": f"What is {k} + {k}?"}) + "\n" for k in range(10, 30)))
    recipe = tmp_path / "goldless.yaml"
    recipe.write_text(
        f"name: goldless\nprompts:\n  - {{source: jsonl, path: {questions}, columns: {{reference: null}}}}\n"
        "generate: {engine: fake, samples: 24}\nverify: {majority: {min_votes: 3}}\n"
    )
    ran = tracemill("run", str(recipe))
    assert ran.code == 0, ran.err
    assert "20 of 20 prompts have no gold answer: undecided, unless samples vote (verify.majority)" in ran.out
    assert "20 of 20 prompts without gold answer were labelled by majority" in ran.out
    return "goldless"


def test_audits_of_a_job_and_of_its_data_set_by_verifiers_and_by_a_judge(tracemill: Command, goldless: str) -> None:
    first = tracemill("audit", goldless, "--with", "exact", "--samples", "60", "--seed", "3")
    assert first.code == 0, first.err
    assert f"60 of 480 verdicts, by exact {plugins.load('verifiers')['exact'].plugin.version}, seed 3" in first.out
    assert "false accepts: 0.0% of correct verdicts (95 % interval 0.0% to " in first.out
    assert "not truth" in first.out
    again = tracemill("audit", goldless, "--with", "exact", "--samples", "60", "--seed", "3")
    assert again.out == first.out.replace("(new)", "(stored before)")
    assert "auditing" not in again.err

    judged = tracemill("audit", f"{goldless}@1", "--with", "judge", "--engine", "fake", "--samples", "20")
    assert "data set goldless@1, 20 of 20 verdicts, by judge 1/fake" in judged.out

    rows = tracemill("sql", "SELECT checker, count(*) AS n FROM audits GROUP BY 1 ORDER BY 1", "--format", "jsonl").out
    assert [json.loads(row) for row in rows.splitlines()] == [
        {"checker": "exact", "n": 60}, {"checker": "judge", "n": 20},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", "--with", "exact"), "audit: 'nope' is no job of"),
        (("goldless@9", "--with", "exact"), "version: 'goldless' has no version 9"),
        (("goldless@new", "--with", "exact"), "audit: 'goldless@new' names no version; give NAME@VERSION"),
        (("goldless", "--with", "exactly"), "--with: unknown verifier 'exactly' (did you mean 'exact'?)"),
        (("goldless", "--with", "exact", "--option", "cases=true"), "--with.cases: 'exact' has no such option"),
        (("goldless", "--with", "exact", "--option", "case"), "--option: 'case' has no value; give NAME=VALUE"),
        (("goldless", "--with", "exact", "--model", "x"), "--model, --engine: 'exact' asks no model"),
        (("goldless", "--with", "judge"), "--with judge: --model: name the model that judges"),
        (("goldless", "--with", "format"), "--with: 'format' looks at no reference, so it cannot say whether"),
        (("goldless", "--with", "language"), "--with: 'language' looks at no reference, so it cannot say whether"),
        (("goldless", "--with", "exact", "--samples", "1"), "--samples: 1 is less than the 3 strata"),
    ],
)
def test_what_is_wrong_is_one_line(tracemill: Command, goldless: str, arguments: tuple[str, ...], message: str) -> None:
    done = tracemill("audit", *arguments)
    assert done.code == 2, done
    assert message in done.err
    assert done.err.count("\n") == 1


def test_disagreements_are_shown_in_full(tracemill: Command, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    rows = [{"prompt": f"What is {k} + {k}?", "answer": f"{2 * k}.0"} for k in range(10, 30)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "points.yaml"
    recipe.write_text(f"name: points\nprompts:\n  - {{source: jsonl, path: {questions}}}\ngenerate: {{engine: fake}}\n")
    assert tracemill("run", str(recipe)).code == 0
    told = json.loads(tracemill("audit", "points", "--with", "exact", "--json", "--examples", "1").out)
    assert sum(told["population"].values()) == 160
    assert told["false_accepts"]["disagree"] > 0, "20 is 20.0 in mathematics and not in letters"
    (shown,) = told["examples"]
    assert set(shown) >= {"question", "reference", "answer", "reason", "checker_reason"}
    assert (shown["outcome"], shown["checker_outcome"]) == ("correct", "wrong")
