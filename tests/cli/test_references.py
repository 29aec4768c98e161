"""`tracemill check-references`: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tracemill.cli.main import app
from tracemill.core.errors import InputError

ASSERTS = json.dumps(["assert f(1) == 2"])
ROWS: list[dict[str, Any]] = [
    {
        "id": "good",
        "verifier": "code",
        "reference": ASSERTS,
        "metadata": {"reference_solution": "def f(x): return x + 1"},
    },
    {"id": "bad", "verifier": "code", "reference": ASSERTS, "metadata": {"reference_solution": "def f(x): return x"}},
    {"id": "broken", "verifier": "code", "reference": '["assert f(1) ="]'},
    {"id": "alone", "verifier": "code", "reference": ASSERTS},
    {"id": "number", "verifier": "math", "reference": "12"},
]


def test_rows_are_marked(tmp_path: Path) -> None:
    source, target = tmp_path / "rows.jsonl", tmp_path / "marked.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    result = CliRunner().invoke(app, ["check-references", str(source), "--output", str(target)])
    assert result.exit_code == 1
    assert (
        "bad  bad_reference  bad_reference: the reference solution fails: different: test 1: f(1): expected 2, got 1"
        in result.stdout
    )
    assert "good" not in result.stdout
    assert "5 references: 2 right, 1 readable, 2 bad_reference, 0 undecided" in result.stderr
    marked = {row["id"]: row["status"] for row in map(json.loads, target.read_text().splitlines())}
    assert marked == {
        "good": "right",
        "bad": "bad_reference",
        "broken": "bad_reference",
        "alone": "readable",
        "number": "right",
    }


def test_a_recipe_is_read(tmp_path: Path) -> None:
    rows = [{"problem": "Add one.", "tests": ["assert f(1) == 2"], "reference_solution": "def f(x): return x + 1"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: code\nprompts:\n  - source: jsonl\n    path: {tmp_path}/rows.jsonl\n    verifier: code\n"
        "    columns: {text: problem, reference: tests}\ngenerate: {model: fake, engine: fake}\n"
    )
    result = CliRunner().invoke(app, ["check-references", str(recipe)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 references: 1 right" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "verifier": "code"}\n', "rows.jsonl:1: field 'reference' must be text"),
        ('{"id": "a", "verifier": "cod", "reference": ""}\n', "did you mean 'code'"),
        ('{"id": "a", "verifier": "code", "reference": "", "metadata": []}\n[1]\n', "must be a JSON object"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    result = CliRunner().invoke(app, ["check-references", str(tmp_path / "rows.jsonl")])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
