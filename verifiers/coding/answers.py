"""The program under test in its box, as those see it who ask it something. What it answers is data, whatever it is."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tracemill.core.types import Outcome
from tracemill.verifiers.coding.extraction import joined
from tracemill.verifiers.coding.reference import TestSet
from tracemill.verifiers.coding.report import Report, cut, fault
from tracemill.verifiers.coding.values import Tree
from tracemill.verifiers.sandbox import Closed, Conversation, Ending, Limits, Run

LEETCODE = """\
from typing import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from bisect import *
from math import ceil, comb, factorial, floor, gcd, inf, isqrt, lcm, log, log2, log10, pi, sqrt
import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
"""
"""What a `class Solution` may use without importing it, as on LeetCode."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one message; `rest` is the message's tail."""

    kind: str
    rest: list[Any]


class Answers:
    """A conversation with the program, within one time limit by the clock, and one for each answer."""

    def __init__(self, talk: Conversation, tests: TestSet, limits: Limits) -> None:
        self._talk = talk
        self._limits = limits
        self._seconds = tests.seconds or limits.cpu_s
        self._capped = limits.cpu_s < tests.budget(float("inf"))
        self._earlier = 0.0
        self._deadline = time.monotonic() + limits.wall_s
        self.closed = False
        """Whether it ended while it was to answer."""

    def raw(self, message: bytes) -> bytes:
        """One message's reply. Raises Closed."""
        start = time.monotonic()
        try:
            answer = self._talk.call(message, max(0.1, min(self._deadline - start, 2 * self._seconds + 2)))
            self._earlier += time.monotonic() - start
            return answer
        except Closed:
            self.closed = True
            raise

    def ask(self, *message: Any) -> Reply:
        """One message's reply, read; of a reply that is none of ours the kind is `malformed`."""
        try:
            kind, *rest = json.loads(self.raw(json.dumps(message).encode()))
        except (ValueError, TypeError, RecursionError):
            return Reply("malformed", [])
        return Reply(kind if isinstance(kind, str) else "malformed", rest)

    def fault(self, where: str) -> Report:
        """Why it ended while it was to answer. `where` names the test."""
        run = self.run()
        late = run.cpu_s - self._earlier >= self._seconds  # earlier answers took no more than the clock's time
        if run.ending is Ending.WALL and late:
            return Report(Outcome.WRONG, "time_limit", f"{where}: used {self._seconds:g} s of processor time")
        if run.ending is Ending.CPU and self._capped and not late:
            return Report(Outcome.UNDECIDED, "set_limit", f"{self._limits.cpu_s:g} s for all tests")
        return fault(run, self._limits, where)

    def run(self) -> Run:
        """What became of it; ends it."""
        return self._talk.run()


@dataclass(frozen=True, slots=True)
class Opened:
    """A program that was loaded and has what is asked for."""

    answers: Answers
    target: Tree
    """Its function; None where a method of `owner` is asked for."""
    owner: str


def opened(talk: Conversation, tests: TestSet, code: str, limits: Limits) -> Opened | Report:
    """Load the program and find the function under test; or why not."""
    answers = Answers(talk, tests, limits)
    prelude = joined([LEETCODE, tests.prelude]) if tests.kind == "calls" else tests.prelude
    owner = tests.owner or ("Solution" if tests.kind == "calls" else "")
    names = [name for name in (tests.entry, owner) if name]
    try:
        reply = answers.ask("load", "solution", prelude, code, names)
        if reply.kind != "ok":
            return _unloaded(reply)
        found = answers.ask("names", names)
    except Closed:
        return answers.fault("before the first test")
    held = _names(found)
    if tests.entry in held and not tests.owner:
        return Opened(answers, held[tests.entry], "")
    if owner in held:
        return Opened(answers, None, owner)
    return Report(Outcome.WRONG, "missing_name", f"the program does not define {tests.owner or tests.entry}")


def _names(found: Reply) -> dict[str, Tree]:
    """What the program has of the names that it was asked for."""
    try:
        return {str(name): held for name, held in found.rest[0]["dict"]}
    except (LookupError, TypeError, ValueError):
        return {}


def _unloaded(reply: Reply) -> Report:
    said = cut(" ".join(map(str, reply.rest[:2])))
    if reply.kind == "prelude":
        return Report(Outcome.UNDECIDED, "bad_reference", f"the code that the question gives raises {said}")
    if reply.kind == "syntax":
        return Report(Outcome.WRONG, "syntax_error", said)
    return Report(Outcome.WRONG, "raised", f"before the first test: {said}")
