"""Programs that want to pass without solving. None does, whatever the tests look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.code import Code

Judge = Callable[..., Verdict]
HERE = Path(__file__).parent
FOLDERS = (HERE / "attacks", HERE.parent / "sandbox" / "attacks" / "passing")
ATTACKS = {path.stem: path.read_text() for folder in FOLDERS for path in sorted(folder.glob("*.py"))}
ASSERTS = (
    "assert add(2, 3) == 5",
    "assert 5 == add(2, 3)",
    "assert abs(add(10, -4) - 6) < 1e-9",
    "assert math.isclose(add(1, 1), 2)",
    "assert sorted([add(1, 2)]) == [3]",
    "assert add(7, 8) in (15,)",
    "assert 15 in [add(7, 8)]",
    "assert {add(7, 8)} == {15}",
    "assert len(range(add(3, 3))) == 6",
    "assert str(add(2, 3)) == '5'",
    "assert max(add(2, 3), 0) == 5",
    "assert set([add(2, 3)]) - {5} == set()",
    "assert not (add(2, 3) != 5)",
    "assert all(add(n, n) == 2 * n for n in range(3))",
    "value = add(2, 3)\nassert value == 5 and value is not None",
    "for got, want in zip(map(add, [2, 3, 4], [3, 4, 5]), [5, 7, 9]):\n    assert got == want",
    "import unittest\nunittest.TestCase().assertEqual(add(2, 3), 5)",
)
CHECK = "def check(candidate):\n    assert candidate(2, 3) == 5\n    for n in range(5):\n        assert candidate(n, 1) == n + 1\n"
CALLS = {
    "kind": "calls",
    "entry_point": "add",
    "cases": [{"args": [2, 3], "expected": 5}, {"args": [1, 1], "expected": 2}],
}
LINES = {"inputs": ["2 3\n", "1 1\n"], "outputs": ["5\n", "2\n"]}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_passes(judged: Judge, name: str) -> None:
    code = ATTACKS[name]
    asserts = judged(code, list(ASSERTS), entry_point="add", plugin=Code(all_tests=True))
    assert asserts.score in (0.0, None), asserts.reason  # not one of them
    for verdict in (asserts, judged(code, CHECK, entry_point="add"), judged(code, CALLS), judged(code, LINES)):
        assert verdict.outcome in (Outcome.WRONG, Outcome.UNDECIDED), verdict.reason
        assert "\n" not in verdict.reason


def test_the_tests_are_fair(judged: Judge) -> None:
    """The program that solves the task passes every one of them."""
    code = "def add(a, b):\n    return a + b"
    for one in ASSERTS:
        assert judged(code, [one], entry_point="add").reason.startswith("passed"), one
    assert judged(code, CHECK, entry_point="add").outcome is Outcome.CORRECT
    assert judged(code, CALLS).outcome is Outcome.CORRECT
    assert judged("print(sum(map(int, input().split())))", LINES).outcome is Outcome.CORRECT
    assert len(ATTACKS) >= 25
