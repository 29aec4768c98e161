"""Runs asserts, and HumanEval's `check(candidate)`: the tests in one box, the program in another, messages between.

The parent carries the messages and counts. Right means that every test was reported as passed by the box of the tests,
each once, and that the program was asked at all. Nothing that the program says about itself is counted.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from tracemill.core.types import Outcome
from tracemill.verifiers.coding.answers import Answers, Opened, opened
from tracemill.verifiers.coding.boxed import program
from tracemill.verifiers.coding.reference import TestSet
from tracemill.verifiers.coding.report import Report, cut, fault
from tracemill.verifiers.sandbox import Closed, Conversation, Ending, Limits, Sandbox

_CODES = {
    "failed": "different", "raised": "raised", "refused": "return_type", "error": "test_raised",
    "missing": "missing_name",
}  # fmt: skip
"""Status of a failed test → code of the reason."""

_NOBODY = "neither the tests nor a reference solution"


def run_asserts(sandbox: Sandbox, tests: TestSet, code: str, limits: Limits, all_tests: bool) -> Report:
    """Judge the program by the test set."""
    with sandbox.converse(program("program_side"), limits) as talk:
        found = opened(talk, tests, code, limits)
        if isinstance(found, Opened):
            with sandbox.converse(program("tester_side"), limits) as tester:
                report = _Relay(found.answers, tester, tests, limits, all_tests).run()
        else:
            report = found
        return report.measured(talk.run())


class _Relay:
    """One run of a test set."""

    def __init__(self, answers: Answers, tester: Conversation, tests: TestSet, limits: Limits, all_tests: bool) -> None:
        self._answers = answers
        self._tester = tester
        self._tests = tests
        self._limits = limits
        self._all = all_tests
        self._deadline = time.monotonic() + limits.wall_s
        self._passed = self._seen = 0
        self._total = len(tests.tests)
        self._first: Report | None = None

    def run(self) -> Report:
        """Carry messages until the tests are done or one of the two is gone."""
        try:
            report = self._carry()
        except Closed:
            report = self._closed()
        return replace(report, passed=self._passed, total=self._total)

    def _carry(self) -> Report:
        message = self._plan()
        while True:
            reply = self._tester.call(message, max(0.1, self._deadline - time.monotonic()))
            if reply[:1] == b">":
                message = self._answers.raw(reply[1:])
                continue
            event, message = json.loads(reply[1:]), b"go"
            if "done" in event:
                return self._ended(event)
            self._count(event)
            if self._first is not None and (not self._all or self._first.outcome is Outcome.UNDECIDED):
                return self._first

    def _plan(self) -> bytes:
        tests = self._tests
        plan: dict[str, Any] = {name: getattr(tests, name) for name in ("prelude", "setup", "tests", "check")}
        plan |= {name: getattr(tests, name) for name in ("owner", "entry", "names", "strangers", "modules")}
        return json.dumps({**plan, "all": self._all}).encode()

    def _count(self, event: dict[str, Any]) -> None:
        self._total = event.get("of") or self._total
        self._seen += 1
        if event["status"] == "passed":
            self._passed += 1
            return
        self._first = self._first or self._failure(event)

    def _failure(self, event: dict[str, Any]) -> Report:
        status, detail = event["status"], cut(event["detail"])
        if status == "setup" or (status == "error" and not event["called"]):
            return Report(Outcome.UNDECIDED, "bad_reference", f"the tests themselves raise: {detail}")
        if status == "missing" and event["detail"] != self._tests.entry:  # was it the program's to define?
            who = "the program does not" if event["detail"] in self._tests.names else _NOBODY
            return Report(Outcome.UNDECIDED, "missing_name", f"{who} define {detail}")
        if status == "unsupported":
            return Report(Outcome.UNDECIDED, "unsupported_test", detail)
        return Report(Outcome.WRONG, _CODES[status], f"test {event['test'] + 1}: {detail}")

    def _ended(self, event: dict[str, Any]) -> Report:
        if self._first is not None:
            return self._first
        if not event["called"]:
            return Report(Outcome.UNDECIDED, "bad_reference", "the tests never call the program")
        if not self._passed == self._seen == self._total == event["done"] > 0:
            return Report(Outcome.WRONG, "ended_early", f"{self._seen} of {self._total} tests were run")
        return Report(Outcome.CORRECT, "passed")

    def _closed(self) -> Report:
        """The program is gone: its fault. Or the tests are: nobody can tell whose."""
        if self._first is not None:
            return self._first
        if self._answers.closed:
            return self._answers.fault(f"test {self._seen + 1}")
        run = self._tester.run()
        if run.ending in (Ending.BROKEN, Ending.WALL):
            return fault(run, self._limits, f"test {self._seen + 1}")
        return Report(Outcome.UNDECIDED, "tests_ended", f"test {self._seen + 1}: {run.ending.value}")
