"""docs/reference/code.md: every test set with its program, every row of its tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.coding.comparison import same_output
from tracemill.verifiers.coding.extraction import extract_code
from tracemill.verifiers.coding.languages import LANGUAGES, PYTHON

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "code.md").read_text()
Judge = Callable[..., Verdict]
SETS = re.findall(r"```json\n(.+?)\n```\n```python\n(.+?)\n```", PAGE, re.DOTALL)
OUTCOMES = {"same": "correct", "layout": "undecided", "different": "wrong"}


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, code taken out of its marks."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    cells = [re.findall(r"\| (`.*?`|[^|]*?)(?= \|)", line) for line in lines]
    return [[cell[1:-1].replace("⏎", "\n") if cell.startswith("`") else cell for cell in row] for row in cells]


@pytest.mark.parametrize(("reference", "code"), SETS)
def test_a_set_is_passed_by_its_program_and_by_no_other(judged: Judge, reference: str, code: str) -> None:
    right = judged(code, reference)
    assert right.outcome is Outcome.CORRECT, right.reason
    wrong = re.sub(r"a \+ b|at\]|reverse|sum\(", lambda found: _broken(found[0]), code, count=1)
    assert judged(wrong, reference).outcome is Outcome.WRONG, wrong


def _broken(text: str) -> str:
    return {"a + b": "a - b", "at]": "at + 1]", "reverse": "sort", "sum(": "max("}[text]


@pytest.mark.parametrize(("answer", "program"), rows("Where the program is found"))
def test_where_the_program_is_found(answer: str, program: str) -> None:
    for fence in ("~~~", "```"):
        found = extract_code(answer.replace("~~~", fence), PYTHON.tags, "f")
        text = found.reason if found.text is None else found.text.strip("\n")
        assert text.replace("\n\n", "\n") == program.replace("\n\n", "\n")


@pytest.mark.parametrize(("expected", "returned", "outcome"), rows("Equal values of calls"))
def test_what_counts_as_an_equal_value(judged: Judge, expected: str, returned: str, outcome: str) -> None:
    reference = {"kind": "calls", "entry_point": "f", "cases": [{"args": [], "expected": json.loads(expected)}]}
    verdict = judged(f"def f():\n    return {returned}", reference)
    assert verdict.outcome.value == outcome, verdict.reason


@pytest.mark.parametrize(("expected", "printed", "outcome"), rows("Equal output"))
def test_what_counts_as_equal_output(judged: Judge, expected: str, printed: str, outcome: str) -> None:
    assert OUTCOMES[same_output(expected, printed)] == outcome
    verdict = judged(f"import sys\nsys.stdout.write({printed!r})", {"inputs": [""], "outputs": [expected]})
    assert verdict.outcome.value == outcome, verdict.reason


def test_every_table_is_read() -> None:
    assert len(SETS) == 8
    assert [len(rows(title)) for title in ("Where the program is found", "Equal values of calls", "Equal output")] == [
        15,
        17,
        13,
    ]
    assert {row[0] for row in rows("Languages")} == set(LANGUAGES)
