"""Calls a function with given arguments and compares what it returns, or what it leaves of an argument.

The program's process gets the arguments of one case at a time; the expected values never leave this process.
"""

from __future__ import annotations

import json
from dataclasses import replace

from tracemill.core.types import Outcome
from tracemill.verifiers.coding.answers import Opened, Reply, opened
from tracemill.verifiers.coding.boxed import program
from tracemill.verifiers.coding.comparison import same_value
from tracemill.verifiers.coding.languages import Language, command
from tracemill.verifiers.coding.reference import Case, TestSet
from tracemill.verifiers.coding.report import Report, cut, fault, holds_object, shown
from tracemill.verifiers.coding.values import encode
from tracemill.verifiers.sandbox import Closed, Limits, Sandbox


def run_calls(sandbox: Sandbox, tests: TestSet, code: str, limits: Limits, all_tests: bool) -> Report:
    """Judge a Python program by the cases, in one process."""
    with sandbox.converse(program("program_side"), limits) as talk:
        found = opened(talk, tests, code, limits)
        report = _judged(found, tests, all_tests) if isinstance(found, Opened) else found
        return report.measured(talk.run())


def _judged(found: Opened, tests: TestSet, all_tests: bool) -> Report:
    passed, first = 0, None
    for number, case in enumerate(tests.cases, 1):
        try:
            failure = judged(_called(found, tests, case), case, tests, number)
        except Closed:
            failure = found.answers.fault(f"test {number}")
        passed += failure is None
        first = first or failure
        if first is not None and (not all_tests or found.answers.closed):
            break
    return replace(first or Report(Outcome.CORRECT, "passed"), passed=passed, total=len(tests.cases))


def _called(found: Opened, tests: TestSet, case: Case) -> Reply:
    target = found.target
    if found.owner:  # a new instance for each case
        reply = found.answers.ask("method", found.owner, tests.entry)
        if reply.kind != "ok":
            return reply
        target = reply.rest[0]
    return found.answers.ask("call", target, encode(case.given), encode({}))


def judged(reply: Reply, case: Case, tests: TestSet, number: int) -> Report | None:
    """Why the reply is wrong; None where it is right."""
    if reply.kind == "raise":
        return Report(Outcome.WRONG, "raised", f"test {number}: {cut(': '.join(map(str, reply.rest[:2])))}")
    if reply.kind == "refuse":
        return Report(Outcome.WRONG, "return_type", f"test {number}: {cut(' '.join(map(str, reply.rest)))}")
    if reply.kind != "ok" or len(reply.rest) != 2:
        return Report(Outcome.WRONG, "malformed_reply", f"test {number}")
    got = reply.rest[0]
    if tests.argument is not None:
        left = reply.rest[1] if reply.rest[1] is not None else encode(case.given)
        got = left[tests.argument] if isinstance(left, list) and tests.argument < len(left) else None
    try:
        if same_value(case.expected, got, tests.tolerance):
            return None
        kind = "return_type" if holds_object(got) else "different"
        said = f"f({cut(json.dumps(case.given)[1:-1])}): expected {cut(repr(case.expected))}, got {shown(got)}"
    except (RecursionError, ValueError, TypeError, AttributeError):
        return Report(Outcome.WRONG, "malformed_reply", f"test {number}")
    return Report(Outcome.WRONG, kind, f"test {number}: {said.replace('f(', f'{tests.entry}(', 1)}")


def run_driven(
    sandbox: Sandbox, language: Language, tests: TestSet, code: str, limits: Limits, all_tests: bool
) -> Report:
    """Judge a program of another language: a driver behind it calls the function and writes what it returns."""
    plan = {"entry": tests.entry, "owner": tests.owner, "cases": [case.given for case in tests.cases]}
    files = {language.file: (code + language.driver).encode(), "plan.json": json.dumps(plan).encode()}
    run, made = sandbox.execute(command(language.running), files, limits=limits, keep=("results.json",))
    passed, first = 0, None
    replies = _replies(made.get("results.json", b""))
    for number, case in enumerate(tests.cases, 1):
        if number <= len(replies):
            failure = judged(replies[number - 1], case, tests, number)
        else:
            failure = fault(run, limits, f"test {number}: {cut(run.stderr.decode(errors='replace'))}")
        passed += failure is None
        first = first or failure
        if first is not None and (not all_tests or number > len(replies)):
            break
    report = replace(first or Report(Outcome.CORRECT, "passed"), passed=passed, total=len(tests.cases))
    return report.measured(run)


def _replies(data: bytes) -> list[Reply]:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return []
    found = raw if isinstance(raw, list) else []
    return [Reply(str(one[0]), one[1:]) if isinstance(one, list) and one else Reply("malformed", []) for one in found]
