"""Does the program in the answer pass the tests? Foreign programs run only in the sandbox (`verifiers.sandbox`).

`Prompt.reference` is a test set in JSON: asserts (MBPP), `check(candidate)` (HumanEval), calls with the values expected
(LeetCode), standard input and output (APPS, TACO, LiveCodeBench); docs/reference/code.md shows each form and
what counts as the same. `Prompt.metadata` may carry `entry_point`, `language`, the code that the question starts with,
and `reference_solution` (or `canonical_solution`): where that fails its own tests, every verdict is UNDECIDED
`bad_reference`. The program gets inputs only; what it returns comes back as plain content and is compared elsewhere.
CORRECT means that every test was compared and passed. The reason of a WRONG verdict names the first test that failed;
its score is the share that passed where `all_tests` is set, else 0. Not covered: tests that compare two objects of the
program's own classes, interactive tasks, tasks with several right outputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.ids import canonical_json, content_id
from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.coding.extraction import Code as Extracted
from tracemill.verifiers.coding.extraction import extract_code
from tracemill.verifiers.coding.languages import PYTHON, Language, language_named
from tracemill.verifiers.coding.reference import TestSet, solution_of, test_set
from tracemill.verifiers.verdicts import Undecidable, verdict

if TYPE_CHECKING:  # what runs programs is loaded with the first of them: loading the plugins is to be quick
    from tracemill.verifiers.coding.report import Report
    from tracemill.verifiers.sandbox import Sandbox

STANDARD = (
    *("ast", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools", "heapq"),
    *("importlib", "io", "itertools", "json", "marshal", "math", "operator", "random", "re", "statistics", "string"),
    "typing",
)
"""Modules that programs are likely to import, and our own side of the box: loaded before forking."""
REMEMBERED = 100_000
"""Prompts whose reference solution was tried."""
_faults: dict[str, str] = {}
_NUMPY = re.compile(r"^\s*(?:import|from)\s+numpy\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Code:
    """Judges the program in the answer by the tests of `Prompt.reference`."""

    seconds: float = 6.0
    """Processor time of one case: of standard input, a call or an assert. A test set may say otherwise."""
    set_seconds: float = 60.0
    """Processor time of all cases together; past it the verdict is UNDECIDED `set_limit`."""
    memory_mb: int = 1024
    """Memory of one process. A test set may say otherwise."""
    all_tests: bool = False
    """Go on after the first test that fails, so that the score of a WRONG verdict is the share that passed."""
    tier: int | None = None
    """Of the sandbox: 1 to 3; None is the best that this machine gives, and never 3."""

    name: ClassVar[str] = "code"
    version: ClassVar[str] = "1"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's program. Raises Undecidable."""
        tests = test_set(prompt)
        language = language_named(tests.language)
        if tests.kind == "calls" and language is not PYTHON and not language.driver:
            raise Undecidable(f"bad_reference: no calls in {language.name}, only stdio")
        solution = reference_solution(prompt)
        if solution and (why := _reference_fault(self, prompt, tests, language)):
            raise Undecidable(why)
        found = extract_code(trace.answer, language.tags, tests.owner or tests.entry)
        if found.text is None:
            outcome = Outcome.UNDECIDED if found.reason == "too_long" else Outcome.UNPARSED
            return verdict(self, trace, outcome, found.reason)
        report = _run(self, tests, language, found)
        if report.code == "syntax_error" and not found.fenced:
            return verdict(self, trace, Outcome.UNPARSED, "no_code", found.text)
        if solution and report.code == "missing_name":  # the reference solution defines it
            report = replace(report, outcome=Outcome.WRONG)
        has_share = report.outcome is Outcome.WRONG and self.all_tests and report.total
        score = report.passed / report.total if has_share else None
        return verdict(self, trace, report.outcome, report.reason(), found.text, score)


def reference_solution(prompt: Prompt) -> str:
    """The program of the prompt that is known to be right; "" where it has none."""
    return solution_of(prompt.metadata)


def _reference_fault(plugin: Code, prompt: Prompt, tests: TestSet, language: Language) -> str:
    """Why the reference solution does not pass; "" where it does. Remembered for the other samples of the prompt.

    Raises Undecidable where it cannot be told.
    """
    key = content_id("reference", repr(plugin), prompt.text, prompt.reference, canonical_json(prompt.metadata))
    why = _faults.get(key)
    if why is None:
        why = _tried(plugin, tests, language, Extracted(reference_solution(prompt)))
        if len(_faults) >= REMEMBERED:
            _faults.clear()
        _faults[key] = why
    return why


def _tried(plugin: Code, tests: TestSet, language: Language, solution: Extracted) -> str:
    report = _run(plugin, tests, language, solution)
    if report.outcome is Outcome.CORRECT:
        return ""
    if report.outcome is Outcome.UNDECIDED:
        raise Undecidable(report.reason())
    if _run(plugin, tests, language, solution).outcome is Outcome.CORRECT:
        return f"bad_reference: the reference solution passes only sometimes: {report.reason()}"
    return f"bad_reference: the reference solution fails: {report.reason()}"


def _run(plugin: Code, tests: TestSet, language: Language, found: Extracted) -> Report:
    from tracemill.verifiers.coding import asserts, calls, stdio
    from tracemill.verifiers.coding.report import again_if_slow
    from tracemill.verifiers.sandbox import Limits

    code, all_tests = found.text or "", plugin.all_tests
    if tests.kind != "stdio" and language is PYTHON:
        code = _completed(code, tests)
    tests = replace(tests, seconds=tests.seconds or plugin.seconds)
    seconds = tests.budget(plugin.set_seconds)
    size = sum(len(str(case.given)) + len(str(case.expected)) for case in tests.cases)
    memory_mb, output_kb = tests.memory_mb or plugin.memory_mb, 4096 + 2 * size // 1024
    limits = Limits(cpu_s=seconds, wall_s=4 * seconds + 10, memory_mb=memory_mb, output_kb=output_kb)
    sources = (code, tests.prelude, tests.setup, tests.check, *tests.tests)
    with_numpy = any(map(_NUMPY.search, sources)) or any(module == "numpy" for _, module, _ in tests.modules)
    sandbox = _sandbox(plugin.tier, with_numpy)
    if language is not PYTHON:
        limits = replace(limits, processes=32, threads=64)  # node and java start threads before the first line
        stdio.check_tool(sandbox, language)
    if tests.kind == "stdio":
        return stdio.run_stdio(sandbox, language, tests, code, limits, plugin.set_seconds, all_tests)
    if language is not PYTHON:
        return again_if_slow(lambda: calls.run_driven(sandbox, language, tests, code, limits, all_tests))
    run = calls.run_calls if tests.kind == "calls" else asserts.run_asserts
    return again_if_slow(lambda: run(sandbox, tests, code, limits, all_tests))


def _completed(code: str, tests: TestSet) -> str:
    """The body of a function that the question began, as base models write it, joined to its head."""
    name = tests.owner or tests.entry
    is_body = code.lstrip("\r\n").startswith((" ", "\t")) and f"def {tests.entry}(" in tests.prelude
    if not is_body or re.search(rf"^(?:def|class)\s+{name}\b", code, re.MULTILINE):
        return code
    return f"{tests.prelude.rstrip()}\n{code}"


@cache
def _sandbox(tier: int | None, with_numpy: bool) -> Sandbox:
    from tracemill.verifiers.sandbox import Sandbox

    return Sandbox(tier, preload=(*STANDARD, "numpy") if with_numpy else STANDARD)


plugin = Code()

_ADD = '{"kind": "asserts", "asserts": ["assert add(2, 2) == 4", "assert add(-1, 1) == 0"]}'
_CHECK = "def check(candidate):\n    assert candidate(2, 2) == 4\n    assert candidate(-1, 1) == 0\n"
_CALLS = '{"kind": "calls", "entry_point": "add", "cases": [{"args": [2, 2], "expected": 4}]}'
_LINES = '{"inputs": ["2 2\\n", "-1 1\\n"], "outputs": ["4\\n", "0\\n"]}'
_ENTRY = {"entry_point": "add"}


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
_RIGHT = _fenced("def add(a, b):\n    return a + b")
EXAMPLES = (
    VerifierExample(_RIGHT, _ADD, R, "right: asserts"),
    VerifierExample(_RIGHT, _CHECK, R, "right: a check function", metadata=_ENTRY),
    VerifierExample(
        _fenced("class Solution:\n    def add(self, a: int, b: int) -> List[int]:\n        return a + b"),
        _CALLS,
        R,
        "right: a method as on LeetCode",
    ),
    VerifierExample(
        _fenced("a, b = map(int, input().split())\nprint(a + b)"), _LINES, R, "right: standard input and output"
    ),
    VerifierExample(
        _fenced("    return a + b"),
        _CHECK,
        R,
        "right: the body of the function",
        'def add(a, b):\n    """a + b"""\n',
        _ENTRY,
    ),
    VerifierExample(_fenced("def add(a, b):\n    return a * b"), _ADD, W, "wrong: 2 * 2 is 4, -1 * 1 is not 0"),
    VerifierExample(_fenced("def add(a, b):\n    return str(a + b)"), _CALLS, W, "wrong: another type"),
    VerifierExample(_fenced("print(4)"), _LINES, W, "wrong: one case of two"),
    VerifierExample(_fenced("def add(a, b) return a + b"), _ADD, W, "wrong: no Python"),
    VerifierExample("Add the numbers.", _ADD, N, "wrong: no program"),
    VerifierExample(
        _fenced("import sys\ndef add(a, b):\n    sys.exit(0)"), _ADD, W, "adversarial: leaves with success"
    ),
    VerifierExample(_fenced("import os\nos._exit(0)"), _CHECK, W, "adversarial: leaves at once", metadata=_ENTRY),
    VerifierExample(
        _fenced("class Yes(int):\n    def __eq__(self, other): return True\ndef add(a, b): return Yes()"),
        _ADD,
        W,
        "adversarial: equals everything",
    ),
    VerifierExample(
        _fenced("import builtins\nbuiltins.AssertionError = int\ndef add(a, b): return 0"),
        _CHECK,
        W,
        "adversarial: patched builtins",
        metadata=_ENTRY,
    ),
    VerifierExample(
        _RIGHT,
        _ADD,
        U,
        "adversarial: a reference solution that fails",
        metadata={"reference_solution": "def add(a, b): return 0"},
    ),
    VerifierExample(_RIGHT, '["assert 2 + 2 == 4"]', U, "adversarial: tests that ask nothing of the program"),
)
