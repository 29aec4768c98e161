"""Tests made from programs: right ones agree on them, wrong ones fail them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tracemill.core.errors import InputError
from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.coding.generation import generate_tests
from tracemill.verifiers.sandbox import Sandbox

Judge = Callable[..., Verdict]
RIGHT = ("def top(n):\n    return max(n) if n else None", "def top(n):\n    return sorted(n)[-1] if n else None")
WRONG = (
    "def top(n):\n    return n[0] if n else None",
    "def top(n):\n    return max(n)",
    "def top(n):\n    return max(map(abs, n), default=None)",
    "def top(n):\n    return max(n, default=None)",
)
GENERATOR = """
import json, random, sys
rng = random.Random(sys.argv[1])
for _ in range(int(sys.argv[2])):
    print(json.dumps([[rng.randint(-5, 5) for _ in range(rng.randint(0, 4))]]))
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(zygotes=1)
    yield made
    made.close()


def test_what_is_kept_tells_right_from_wrong(judged: Judge, sandbox: Sandbox) -> None:
    made = generate_tests(sandbox, "calls", GENERATOR, RIGHT, WRONG, "top", tries=60, keep=6)
    assert (made.agreed, made.kept, made.survivors) == (made.tried, 6, (3,))
    assert made == generate_tests(sandbox, "calls", GENERATOR, RIGHT, WRONG, "top", tries=60, keep=6)
    assert [judged(code, made.reference).outcome for code in (*RIGHT, WRONG[3])] == [Outcome.CORRECT] * 3
    assert [judged(code, made.reference).outcome for code in WRONG[:3]] == [Outcome.WRONG] * 3


def test_inputs_on_which_right_programs_differ_are_not_kept(sandbox: Sandbox) -> None:
    other = "def top(n):\n    return max(n) if n else 0"
    made = generate_tests(sandbox, "calls", GENERATOR, (RIGHT[0], other), (), "top", tries=60, keep=100)
    assert made.agreed < made.tried
    assert all(case["args"] != [[]] for case in json.loads(made.reference)["cases"])


def test_whole_programs(judged: Judge, sandbox: Sandbox) -> None:
    generator = "import json, sys\nfor n in range(int(sys.argv[2])):\n    print(json.dumps(f'{n} {n * n % 7}\\n'))"
    right, wrong = "print(sum(map(int, input().split())))", "print(2 * int(input().split()[0]))"
    made = generate_tests(sandbox, "stdio", generator, (right,), (wrong,), tries=6, keep=3)
    assert (made.kept, made.survivors) == (3, ())
    assert judged(right, made.reference).outcome is Outcome.CORRECT
    assert judged(wrong, made.reference).outcome is Outcome.WRONG


@pytest.mark.parametrize(
    ("generator", "right", "message"),
    [
        ("print('no json')", RIGHT, "no JSON"),
        ("print(3)", RIGHT, "must be a list of arguments"),
        ("1 / 0", RIGHT, "ZeroDivisionError"),
        (GENERATOR, (), "at least one right program"),
        (GENERATOR, ("def other(): pass",), "agree on none"),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    sandbox: Sandbox, generator: str, right: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        generate_tests(sandbox, "calls", generator, right, (), "top", tries=5)
