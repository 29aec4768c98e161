"""Runs a whole program once a case: text in, text out. What it should print never leaves this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from tracemill.core.types import Outcome
from tracemill.verifiers.coding.comparison import first_difference, same_output
from tracemill.verifiers.coding.languages import PYTHON, Language, command
from tracemill.verifiers.coding.reference import Case, TestSet
from tracemill.verifiers.coding.report import Report, cut, fault
from tracemill.verifiers.sandbox import Ending, Limits, Run, Sandbox
from tracemill.verifiers.verdicts import Undecidable

COMPILING = Limits(
    cpu_s=60, wall_s=120, memory_mb=2048, output_kb=256, file_mb=256, files=256, processes=32, threads=64
)
_PROBING = Limits(cpu_s=20, wall_s=100, memory_mb=1024, processes=32, threads=64)
Once = Callable[[bytes], Run]


@cache
def check_tool(sandbox: Sandbox, language: Language) -> None:
    """Try a program that is surely right, once. Raises Undecidable where it does not run: no program's fault."""
    case = TestSet("stdio", language.name, cases=(Case("", "ok"),))
    report = run_stdio(sandbox, language, case, language.probe, _PROBING, 60, False)
    if report.outcome is not Outcome.CORRECT:
        raise Undecidable(f"no_toolchain: {language.name} does not work in the sandbox: {report.reason()}"[:200])


def run_stdio(
    sandbox: Sandbox, language: Language, tests: TestSet, code: str, limits: Limits, set_seconds: float, all_tests: bool
) -> Report:
    """Judge the program by the cases, in their order, within `set_seconds` of processor time for all of them."""
    files = {language.file: code.encode(errors="surrogatepass")}
    if language.compiling:
        run, made = sandbox.execute(command(language.compiling), files, limits=COMPILING, keep=language.made)
        if run.ending is not Ending.EXITED or run.code:
            return replace(_uncompiled(run), tier=run.tier)
        files = {**files, **made}
    if language is PYTHON:
        return _judged(lambda given: sandbox.run(code, given, limits), tests, limits, set_seconds, all_tests)
    argv = command(language.running)
    once: Once = lambda given: sandbox.execute(argv, files, given, limits)[0]  # noqa: E731
    return _judged(once, tests, limits, set_seconds, all_tests)


def _judged(once: Once, tests: TestSet, limits: Limits, set_seconds: float, all_tests: bool) -> Report:
    report = Report(Outcome.CORRECT, "passed", total=len(tests.cases))
    first: Report | None = None
    for number, case in enumerate(tests.cases, 1):
        if report.cpu_s >= set_seconds:
            left = Report(Outcome.UNDECIDED, "set_limit", f"{set_seconds:g} s for all tests")
            first = first or left
            break
        run, failure = _settled(once, case, tests, limits, number)
        report = replace(report.measured(run), passed=report.passed + (failure is None))
        if failure is not None and (first is None or first.outcome is Outcome.UNDECIDED):
            first = failure  # what is known to be wrong outweighs what is not decided
        if failure is not None and not all_tests and failure.outcome is Outcome.WRONG:
            break
    if first is None:
        return report
    return replace(report, outcome=first.outcome, code=first.code, detail=first.detail)


def _settled(once: Once, case: Case, tests: TestSet, limits: Limits, number: int) -> tuple[Run, Report | None]:
    """One case; again where the clock ran out on a program that hardly ran."""
    run = once(case.given.encode(errors="surrogatepass"))
    if run.ending is Ending.WALL and run.cpu_s < limits.cpu_s / 2:
        run = once(case.given.encode(errors="surrogatepass"))
    return run, _failure(run, case, tests, limits, number)


def _failure(run: Run, case: Case, tests: TestSet, limits: Limits, number: int) -> Report | None:
    if run.ending is not Ending.EXITED:
        return fault(run, limits, f"test {number}")
    if run.code:
        last = run.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        code = "syntax_error" if last.startswith(("SyntaxError", "IndentationError", "TabError")) else "raised"
        return Report(Outcome.WRONG, code, f"test {number}: {cut(last) or f'exit status {run.code}'}")
    got = run.stdout.decode(errors="replace")
    same = same_output(case.expected, got, tests.tolerance)
    if same == "same":
        return None
    line, expected, given = first_difference(case.expected, got, tests.tolerance)
    said = f"test {number}, line {line}: expected {cut(repr(expected))}, got {cut(repr(given))}"
    if same == "layout":
        return Report(Outcome.UNDECIDED, "layout", said)
    return Report(Outcome.WRONG, "different", said)


def _uncompiled(run: Run) -> Report:
    if run.ending is Ending.EXITED:
        text = run.stderr.decode(errors="replace") or run.stdout.decode(errors="replace")
        lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines() or [""]
        return Report(Outcome.WRONG, "syntax_error", cut(lines[0]))
    if run.ending in (Ending.BROKEN, Ending.WALL):
        return fault(run, COMPILING, "compiling")
    return replace(fault(run, COMPILING, "compiling"), code="compile_limit")
