"""`tracemill contamination`: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BAKER = "A baker bakes 48 loaves a day, sells 31 of them, and gives half of the rest to 5 schools. How many are left?"
LAST = "Find the last digit of 7 to the 100th."
ROWS: list[dict[str, Any]] = [
    {"id": 1, "prompt": "How many hens has a farmer?", "turns": [{"role": "assistant", "content": "Two hens."}]},
    {
        "id": 2,
        "prompt": "Help me.",
        "turns": [{"role": "user", "content": BAKER}, {"role": "assistant", "content": BAKER}],
    },
    {"id": 3, "prompt": LAST.upper(), "turns": None},
    {"id": 4, "prompt": BAKER.replace("48", "52").replace("31", "34").replace(" 5 ", " 6 "), "turns": []},
]


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    path = tmp_path / "bakers.jsonl"
    rows = [{"id": "b/1", "question": BAKER}, {"id": "b/2", "question": LAST}, {"id": "b/3", "question": "And now?"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return str(path)


def test_rows_with_text_of_a_benchmark_are_found(
    tracemill: Callable[..., Any], tmp_path: Path, benchmark: str, rows: str
) -> None:
    report = tmp_path / "report.jsonl"
    done = tracemill("contamination", "--against", benchmark, "--report", str(report), rows)
    assert done.code == 1
    assert "bakers         3      2        3       1      1        1" in done.out
    assert f'{rows}:2 turns: bakers: b/1 (question), 100.0% of its 13-grams: "{BAKER.rstrip("?")}"' in done.out
    assert "4 rows" in done.err
    assert "3 rows hold text of a benchmark" in done.err
    hits = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(hit["row"], hit["column"], hit["kind"], hit["item"]) for hit in hits] == [
        (2, "turns", "ngrams", "b/1"),
        (3, "prompt", "whole", "b/2"),
        (4, "prompt", "similar", "b/1"),
    ]
    assert hits[0] == {
        "file": rows, "row": 2, "column": "turns", "kind": "ngrams", "benchmark": "bakers", "item": "b/1",
        "item_column": "question", "coverage": 1.0, "span": BAKER.rstrip("?"),
    }  # fmt: skip


def test_what_is_looked_for_can_be_narrowed(tracemill: Callable[..., Any], benchmark: str, rows: str) -> None:
    done = tracemill("contamination", "--against", benchmark, "--column", "prompt", "--fuzzy", "100", "--json", rows)
    assert done.code == 1
    found = json.loads(done.out)
    assert (found["rows"], found["contaminated_rows"]) == (4, 1)
    assert found["benchmarks"] == {
        "bakers": {"items": 3, "items_found": 1, "rows": 1, "ngrams": 0, "whole": 1, "similar": 0, "paraphrase": 0}
    }


def test_questions_in_other_words_are_found_if_asked(
    tracemill: Callable[..., Any], tmp_path: Path, benchmark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reworded.jsonl"
    text = "From 48 loaves baked in a day, a baker sells 31, and 5 schools get half of what is left. How many remain?"
    path.write_text(json.dumps({"prompt": text}) + "\n")
    assert tracemill("contamination", "--against", benchmark, str(path)).code == 0
    asked = ("contamination", "--against", benchmark, "--semantic", "0.7", "--min-coverage", "1", "--json", str(path))
    done = tracemill(*asked)
    assert done.code == 1
    found = json.loads(done.out)
    assert found["benchmarks"]["bakers"]["paraphrase"] == found["contaminated_rows"] == 1
    assert "b/1 (question), similarity 0." in found["examples"][0]
    monkeypatch.setitem(sys.modules, "wordllama", None)
    done = tracemill(*asked)
    assert done.code == 3
    assert "--semantic: wordllama is not installed: run pip install 'tracemill[semantic]'" in done.err


def test_nothing_found_is_exit_code_0(tracemill: Callable[..., Any], tmp_path: Path, benchmark: str) -> None:
    clean = tmp_path / "clean.jsonl"
    clean.write_text(json.dumps(ROWS[0]) + "\n")
    done = tracemill("contamination", "--against", benchmark, str(clean))
    assert (done.code, "0 rows hold text of a benchmark" in done.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "none.jsonl", "{rows}"], "--against: no such file or folder: none.jsonl"),
        (["--against", "{rows}", "--report", ".", "{rows}"], "--report: cannot write .: Is a directory"),
        (["--against", "{benchmark}", "none.jsonl"], "contamination: no such file or folder: none.jsonl"),
        (["--against", "{benchmark}", "--against-column", "q", "{rows}"], "no column 'q' (the row has: id, question)"),
        (["--against", "{benchmark}", "--column", "q", "{rows}"], "no column 'q' (the row has: id, prompt, turns); set --column"),
        (["{rows}"], "--against"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(
    tracemill: Callable[..., Any], benchmark: str, rows: str, arguments: list[str], message: str
) -> None:
    done = tracemill("contamination", *(one.format(benchmark=benchmark, rows=rows) for one in arguments))
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
