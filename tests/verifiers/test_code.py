"""The code verifier as a whole: forms, languages, limits, real data."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tracemill
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.code import Code, plugin
from tracemill.verifiers.coding.languages import LANGUAGES, PYTHON, missing_tool
from tracemill.verifiers.coding.reference import Case as Case_
from tracemill.verifiers.coding.reference import TestSet
from tracemill.verifiers.coding.stdio import run_stdio
from tracemill.verifiers.judging import judge
from tracemill.verifiers.sandbox import Limits, Sandbox

Case = Callable[..., tuple[Prompt, Trace]]
LINES = [{"input": "1 2\n", "output": "3\n"}, {"input": "5 6\n", "output": "11\n"}]
CPP = (
    '#include <iostream>\nint main() {\n    long a, b;\n    std::cin >> a >> b;\n    std::cout << a + b << "\\n";\n}\n'
)
JS = 'const [a, b] = require("fs").readFileSync(0, "utf8").split(" ").map(Number);\nconsole.log(a + b);\n'
JAVA = "import java.util.*;\npublic class Main {\n    public static void main(String[] x) {\n        Scanner s = new Scanner(System.in);\n        int a = s.nextInt(), b = s.nextInt();\n        System.out.println(a + b);\n    }\n}\n"
RUST = 'use std::io::*;\nfn main() {\n    let mut s = String::new();\n    stdin().read_to_string(&mut s).unwrap();\n    let n: Vec<i64> = s.split_whitespace().map(|x| x.parse::<i64>().unwrap()).collect();\n    let (a, b) = (n[0], n[1]);\n    println!("{}", a + b);\n}\n'
GO = (
    'package main\n\nimport "fmt"\n\nfunc main() {\n    var a, b int\n    fmt.Scan(&a, &b)\n    fmt.Println(a + b)\n}\n'
)


def verdict(
    make_case: Case, code: str, reference: Any, tag: str = "", plugin: Code = plugin, **metadata: Any
) -> Verdict:
    text = reference if isinstance(reference, str) else json.dumps(reference)
    return judge(*make_case(f"```{tag}\n{code}\n```", text, "", metadata), (plugin,))[0]


@pytest.mark.parametrize(
    ("language", "tag", "code"),
    [("cpp", "c++", CPP), ("javascript", "js", JS), ("java", "java", JAVA), ("go", "go", GO), ("rust", "rust", RUST)],
)
def test_other_languages(make_case: Case, language: str, tag: str, code: str) -> None:
    if missing := missing_tool(LANGUAGES[language]):
        pytest.skip(f"{missing} is not installed")
    reference = {"kind": "stdio", "language": language, "cases": LINES}
    right = verdict(make_case, code, reference, tag)
    if language not in ("cpp", "javascript") and right.reason.startswith("no_toolchain"):
        pytest.skip(right.reason)
    assert right.outcome is Outcome.CORRECT, right.reason
    wrong = verdict(make_case, code.replace("a + b", "a - b"), reference, tag)
    assert wrong.outcome is Outcome.WRONG
    assert wrong.reason.startswith("different: test 1, line 1: expected '3', got '-1'")
    broken = verdict(make_case, code.replace("(", "[", 1), reference, tag)
    assert (broken.outcome, broken.reason.split(":")[0] in ("syntax_error", "raised")) == (Outcome.WRONG, True)


def test_calls_in_javascript(make_case: Case) -> None:
    if missing := missing_tool(LANGUAGES["javascript"]):
        pytest.skip(f"{missing} is not installed")
    cases = [{"args": [[3, 1, 2]], "expected": [1, 2, 3]}, {"args": [[]], "expected": []}]
    reference = {"kind": "calls", "language": "javascript", "entry_point": "order", "cases": cases}
    assert verdict(make_case, "const order = (n) => n.sort();", reference, "js").outcome is Outcome.CORRECT
    assert verdict(make_case, "function order(n) { return n; }", reference, "js").reason.startswith("different: test 1")
    for attack in (
        "process.exit(0);",
        "function order(n) { process.exit(0); }",
        "JSON.stringify = () => '[\"ok\", true, null]'; function order(n) { return 0; }",
        "const order = (n) => ({ equals: () => true, valueOf: () => [1, 2, 3] });",
        "require('fs').writeFileSync = () => {}; const order = (n) => n;",
        "process.on('exit', () => { require('fs').writeFileSync('results.json', '[[\"ok\", true, null]]'); }); const order = (n) => n;",
    ):
        assert verdict(make_case, attack, reference, "js").outcome is Outcome.WRONG, attack


def test_limits_of_whole_programs(make_case: Case) -> None:
    reference = {"kind": "stdio", "cases": LINES, "seconds": 0.5, "memory_mb": 128}
    for code, reason in (
        ("while True: pass", "time_limit: test 1: used 0.5 s"),
        ("x = bytearray(10**9)", "memory_limit: test 1"),
        ("while True: print('x' * 10000)", "output_limit: test 1"),
        ("import ctypes; ctypes.string_at(0)", "crashed: test 1: signal 11"),
        ("raise ValueError('no')", "raised: test 1: ValueError: no"),
        ("print(3); raise SystemExit(1)", "raised: test 1: exit status 1"),
        ("print(", "syntax_error: test 1: SyntaxError"),
    ):
        found = verdict(make_case, code, reference)
        assert (found.outcome, found.reason[: len(reason)]) == (Outcome.WRONG, reason)


def test_the_limit_of_a_test_set_is_nobody_s_fault(make_case: Case) -> None:
    code = "import time\nstart = time.process_time()\nwhile time.process_time() < start + 0.2: pass\nprint(sum(map(int, input().split())))"
    found = verdict(make_case, code, {"kind": "stdio", "cases": LINES}, plugin=Code(set_seconds=0.1))
    assert found.outcome is Outcome.UNDECIDED
    assert found.reason.startswith("set_limit: 0.1 s for all tests; 1 of 2 tests passed")


def test_a_program_that_waits_is_not_decided() -> None:
    tests = TestSet("stdio", cases=(Case_("", "1"),))
    sandbox = Sandbox(zygotes=1)
    found = run_stdio(sandbox, PYTHON, tests, "import time; time.sleep(1000)", Limits(cpu_s=5, wall_s=0.3), 60, False)
    sandbox.close()
    assert (found.outcome, found.code) == (Outcome.UNDECIDED, "wall_limit")


def test_all_tests_give_a_share(make_case: Case) -> None:
    code = "a, b = map(int, input().split())\nprint(11)"
    assert verdict(make_case, code, {"kind": "stdio", "cases": LINES}).score == 0
    assert verdict(make_case, code, {"kind": "stdio", "cases": LINES}, plugin=Code(all_tests=True)).score == 0.5


@pytest.mark.parametrize(
    ("reference", "metadata", "reason"),
    [
        ("", {}, "no_reference"),
        ("nothing", {}, "bad_reference: neither JSON nor a check"),
        ([], {}, "bad_reference: not a test set"),
        ({"kind": "magic"}, {}, "bad_reference: unknown kind 'magic'"),
        ({"kind": "calls", "entry_point": "f", "cases": []}, {}, "bad_reference: no tests (calls has them under 'cases')"),
        ({"kind": "asserts", "tests": ["assert f(1)"]}, {}, "bad_reference: no tests (asserts has them under 'asserts')"),
        ({"kind": "calls", "cases": [{"args": [], "expected": 1}]}, {}, "bad_reference: calls without entry_point"),
        ({"kind": "calls", "entry_point": "f g", "cases": [{"args": [], "expected": 1}]}, {}, "bad_reference: entry_point"),
        ({"kind": "calls", "entry_point": "f", "cases": [{"expected": 1}]}, {}, "bad_reference: a case of calls needs args"),
        ({"kind": "calls", "entry_point": "f", "language": "cpp", "cases": [{"args": [], "expected": 1}]}, {}, "bad_reference: no calls in cpp"),
        ({"kind": "stdio", "cases": [{"input": 1, "output": "1"}]}, {}, "bad_reference: input and output must be text"),
        ({"inputs": ["1"], "outputs": []}, {}, "bad_reference: 1 inputs and 0 outputs"),
        (["assert f( == 1"], {}, "bad_reference: the tests cannot be read: SyntaxError"),
        (["assert 1 == 1"], {}, "bad_reference: the tests call no function"),
        (["assert f(1) == 1"], {"language": "js"}, "bad_reference: asserts are Python"),
        (["assert f(1) == 1"], {"language": "brainfuck"}, "bad_reference: asserts are Python"),
        ({"kind": "stdio", "language": "brainfuck", "cases": LINES}, {}, "bad_reference: unknown language"),
        ("def check(candidate):\n    assert check(1)\n", {"entry_point": "check"}, "bad_reference: the tests cannot be read: ValueError: the tests define check"),
    ],
)  # fmt: skip
def test_a_bad_reference_is_found_whatever_the_answer(
    make_case: Case, reference: Any, metadata: dict[str, Any], reason: str
) -> None:
    for code in ("def f(x):\n    return x", ""):
        found = verdict(make_case, code, reference, **metadata)
        assert (found.outcome, found.reason[: len(reason)]) == (Outcome.UNDECIDED, reason), found.reason


def test_a_reference_solution_of_every_form_is_tried(make_case: Case) -> None:
    calls = {"kind": "calls", "entry_point": "f", "cases": [{"args": [[1]], "expected": {"a": [2]}}]}
    code = "def f(x):\n    return {'a': [x[0] + 1]}"
    assert verdict(make_case, code, calls, reference_solution=code).outcome is Outcome.CORRECT
    failing = verdict(make_case, code, calls, reference_solution="def f(x):\n    return 1")
    assert failing.reason.startswith(
        "bad_reference: the reference solution fails: different: test 1: f([1]): expected {'a': [2]}, got 1"
    )
    lines = {"kind": "stdio", "language": "cpp", "cases": LINES}
    if not missing_tool(LANGUAGES["cpp"]):
        assert verdict(make_case, CPP, lines, "cpp", canonical_solution=CPP).outcome is Outcome.CORRECT


def test_a_livecodebench_function_is_found_in_its_metadata(make_case: Case) -> None:
    reference = [{"input": '[1, 2]\n"x"', "output": '"x3"', "testtype": "functional"}]
    code = "class Solution:\n    def go(self, n: List[int], s: str) -> str:\n        return s + str(sum(n))"
    found = verdict(
        make_case,
        code,
        reference,
        metadata=json.dumps({"func_name": "go"}),
        starter_code="class Solution:\n    def go(",
    )
    assert found.outcome is Outcome.CORRECT, found.reason


def test_the_plugin_pickles_with_its_options() -> None:
    made = Code(seconds=2, all_tests=True)
    assert pickle.loads(pickle.dumps(made)) == made


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        yield from map(json.loads, lines)


def test_humaneval_solutions_are_right(real_data: Path, make_case: Case) -> None:
    """Every fourth of the 164; all of them in bench/verify_code.py."""
    found = list(rows(real_data / "prompts" / "humaneval.jsonl.gz"))[::4]

    def one(row: dict[str, Any]) -> tuple[str, str]:
        text = f"```python\n{row['canonical_solution']}\n```"
        made = judge(*make_case(text, row["test"], row["prompt"], {"entry_point": row["entry_point"]}), (plugin,))[0]
        return row["id"], made.reason.split(":")[0]

    with ThreadPoolExecutor(4) as pool:
        assert [pair for pair in pool.map(one, found) if pair[1] != "passed"] == []


@pytest.mark.parametrize(
    ("check", "program", "outcome"),
    [
        ("assert f(4) == 5\n    assert f(5) == 6", "def g(n): return n\ndef f(n): return g(n) + 1", Outcome.CORRECT),
        ("assert f(4) == 5\n    assert f(5) == 6", "def g(n): return n\ndef f(n): return g(n)", Outcome.WRONG),
        ("assert f(candidate(4), 5)", "def g(n): return None\ndef f(a, b): return True", Outcome.UNDECIDED),
    ],
)
def test_a_check_that_names_the_function_itself(check: str, program: str, outcome: Outcome) -> None:
    """As 30 rows of the labelled MBPP do, whose entry point is a helper. A helper is never given the expected value."""
    reference = {"kind": "check", "entry_point": "g", "check": f"def check(candidate):\n    {check}\n"}
    assert tracemill.verify("code", f"```python\n{program}\n```", json.dumps(reference)).outcome is outcome
