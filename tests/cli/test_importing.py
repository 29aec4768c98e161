"""`tracemill import` from file to data set: each layout, its own recipe, and doing it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tracemill.factory.recording import LAYOUTS
from tracemill.pipelines.recording_section import RecordedColumnsSection

Command = Callable[..., Any]
PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "import.md"

ROWS = [
    {"q": "What is 1 + 1?", "gold": "2", "out": "<think>\nOne and one.\n</think>\n\\boxed{2}", "by": "a"},
    {"q": "What is 1 + 1?", "gold": "2", "out": "<think>\nOne or one.\n</think>\n\\boxed{1}", "by": "b"},
    {"q": "What is 2 + 2?", "gold": "4", "out": "No tags: \\boxed{4}", "by": "a"},
    {"q": "What is 3 + 3?", "gold": None, "out": "<think>\nThree.\n</think>\n\\boxed{6}", "by": "a"},
]
COLUMNS = ("--column", "text=q", "--column", "reference=gold", "--column", "completion=out", "--column", "model=by")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "My Traces (v2).jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_any_jsonl_by_a_column_map_gets_verdicts_and_a_funnel(tracemill: Command, rows: Path, tmp_path: Path) -> None:
    saved = tmp_path / "recipe.yaml"
    ran = tracemill("import", str(rows), *COLUMNS, "--save", str(saved))
    assert ran.code == 0, ran.err
    for line in (
        "3 prompts x up to 2 samples, recorded on replay",
        "4 completions of 3 prompts are recorded",
        "4 of them come without token count: estimated as characters / 4",
        "4/4 samples",
        "-1  no_think",
        "-1  math: wrong/different",
        "-1  math: undecided/no_reference",
        "data set my-traces-v2 version 1 (new): 1 traces",
    ):
        assert line in ran.out
    assert yaml.safe_load(saved.read_text()) == {
        "name": "my-traces-v2",
        "prompts": [
            {
                "source": "recording",
                "path": str(rows),
                "columns": {"text": "q", "reference": "gold", "completion": "out", "model": "by"},
            }
        ],
        "generate": {"engine": "replay", "thinking": "native", "samples": 2},
    }
    sql = "SELECT model, reasoning, answer FROM traces ORDER BY ALL"
    found = [json.loads(line) for line in tracemill("sql", sql, "--format", "jsonl").out.splitlines()]
    assert found == [
        {"model": "a", "reasoning": "", "answer": "No tags: \\boxed{4}"},
        {"model": "a", "reasoning": "One and one.", "answer": "\\boxed{2}"},
        {"model": "a", "reasoning": "Three.", "answer": "\\boxed{6}"},
        {"model": "b", "reasoning": "One or one.", "answer": "\\boxed{1}"},
    ]

    again = tracemill("import", str(rows), *COLUMNS)
    assert "generating" not in again.out
    assert "data set my-traces-v2 version 1 (unchanged): 1 traces" in again.out
    assert "version 1 (unchanged): 1 traces" in tracemill("run", str(saved)).out, "the recipe that it saved is the same"


def test_fewer_samples_than_recorded_are_said_to_be_fewer(tracemill: Command, rows: Path) -> None:
    ran = tracemill("import", str(rows), *COLUMNS, "--samples", "1", "--name", "one")
    assert "1 of them are beyond the first 1 of their prompt and stay unused" in ran.out
    assert "3/3 samples" in ran.out


def test_filters_and_selection_come_from_a_recipe(tracemill: Command, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "parts.yaml"
    path.write_text("filters: [{length: {min_words: 9}}]\nselect: {order: longest}\nverify: {also: []}\n")
    ran = tracemill("import", str(rows), *COLUMNS, "--recipe", str(path))
    assert "-1  length: too_short" in ran.out
    assert ran.code == 1
    assert "no trace was kept" in ran.err


def test_openr1_math(tracemill: Command, tmp_path: Path) -> None:
    """A folder of Parquet shards in the shape of open-r1/OpenR1-Math-220k."""
    chain = "<think>\nOkay, one and one makes two.\n</think>\n\nThe sum is $\\boxed{%s}$."
    row = {
        "problem": "Compute $1+1$.", "solution": "It is 2.", "answer": "2", "problem_type": "Algebra",
        "question_type": "math-word-problem", "source": "olympiads", "uuid": "u1",
        "is_reasoning_complete": [True, True, False], "generations": [chain % 2, chain % 3, "<think>\nOkay, one"],
        "correctness_math_verify": [True, False, False], "correctness_llama": None,
        "finish_reasons": ["stop", "stop", "length"], "correctness_count": 1,
        "messages": [{"content": "Compute $1+1$.", "role": "user"}, {"content": chain % 2, "role": "assistant"}],
    }  # fmt: skip
    proof = {**row, "problem": "Prove it.", "answer": "proof", "question_type": "proof", "uuid": "u2"}
    folder = tmp_path / "OpenR1-Math-220k"
    folder.mkdir()
    for number, one in enumerate((row, proof)):
        pq.write_table(pa.Table.from_pylist([one]), folder / f"train-0000{number}-of-00002.parquet")
    ran = tracemill("import", str(folder), "--layout", "openr1_math")
    assert ran.code == 0, ran.err
    for line in (
        "6 completions of 2 prompts",
        "-2  no_close_tag",
        "-2  math: undecided/no_reference",
        "-1  math: wrong",
    ):
        assert line in ran.out
    assert "data set openr1-math-220k version 1 (new): 1 traces" in ran.out
    sql = "SELECT DISTINCT model, json_extract_string(metadata, '$.uuid') AS uuid FROM traces t JOIN prompts p ON p.id = t.prompt_id ORDER BY uuid"
    found = [json.loads(line) for line in tracemill("sql", sql, "--format", "jsonl").out.splitlines()]
    assert found == [{"model": "deepseek-ai/DeepSeek-R1", "uuid": uuid} for uuid in ("u1", "u2")]


def test_openthoughts_in_both_configurations(tracemill: Command, tmp_path: Path) -> None:
    row = {
        "problem": "What is $1+1$?", "deepseek_reasoning": "Okay, one and one.", "deepseek_solution": "\\boxed{2}",
        "ground_truth_solution": "We add to get $\\boxed{2}$.", "domain": "math", "source": "numina_math",
        "test_cases": None, "starter_code": None,
    }  # fmt: skip
    other = {
        **row,
        "problem": "Why is it wet?",
        "deepseek_solution": "Rain.",
        "ground_truth_solution": None,
        "domain": "physics",
    }
    pq.write_table(pa.Table.from_pylist([row, other]), tmp_path / "metadata.parquet")
    ran = tracemill("import", str(tmp_path / "metadata.parquet"), "--layout", "openthoughts")
    assert "-1  math: undecided/no_reference" in ran.out
    assert "data set metadata version 1 (new): 1 traces" in ran.out
    assert "reasoning  Okay, one and one." in tracemill("show", "metadata").out

    tagged = "<|begin_of_thought|>\n\nOkay.\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n2\n\n<|end_of_solution|>"
    turns = [{"from": "user", "value": "What is $1+1$?"}, {"from": "assistant", "value": tagged}]
    (tmp_path / "default.jsonl").write_text(json.dumps({"system": "Your role …", "conversations": turns}) + "\n")
    ran = tracemill("import", str(tmp_path / "default.jsonl"), "--layout", "openthoughts", "--model", "deepseek-r1")
    assert "data set default version 1 (new): 1 traces" in ran.out
    shown = tracemill("show", "default").out
    assert "reasoning  Okay.\nanswer     2\n" in shown
    assert "deepseek-r1, default.jsonl" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--column", "txt=q"), "--column: no field 'txt' (did you mean 'text'?)"),
        (("--column", "text"), "--column: 'text' names no column; give text=COLUMN"),
        (("--column", "text=question"), "jsonl:1: no column 'question' (there are: q, gold, out, by); set prompts[0].columns.text"),
        (("--layout", "openr1_math", "--column", "text=q"), "import: prompts[0]: columns go with layout columns"),
        (("--thinking", "r2"), "import: generate.thinking: unknown think format 'r2'"),
        (("--recipe", "/nope.yaml"), "--recipe: cannot read /nope.yaml"),
        (("--name", "My Name"), "import: name: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tracemill: Command, rows: Path, options: tuple[str, ...], message: str) -> None:
    done = tracemill("import", str(rows), *options)
    assert done.code == 2, done
    assert message in done.err
    assert "Traceback" not in done.err


def test_the_page_names_every_field_and_layout() -> None:
    page = PAGE.read_text()
    for name in (*RecordedColumnsSection.model_fields, *LAYOUTS):
        assert f"`{name}`" in page or name == "columns", name
