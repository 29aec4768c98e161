"""In the box of the tests: runs each test against the program's stand-ins and reports what became of it.

A test is an assert (or what the set gives as one piece), or a statement with an assert in it of `check(candidate)`.
The test set is trusted to judge, not to behave: it runs in a box of its own.

    first message: {"prelude", "setup", "tests": [code, …], "check": code or "", "owner", "entry", "names", "modules",
        "all"}
    b">" + message  for the program; its reply is the next message
    b"=" + {"test": number, "of": how many there are, "status", "detail", "called"}; the next message is empty
    b"=" + {"done": number of tests, "called": how often the program was asked}

Status: passed; failed (an assert); raised (the program raised); refused (a value that cannot cross); error (the test
itself raised); missing (a name that the program was to define); unsupported (what a stand-in cannot do); setup (raised
before the program was first called).
"""

from __future__ import annotations

import ast
import collections
import importlib
import json
import operator
import re
import sys
from typing import Any

from tracemill.verifiers.coding.stand_ins import SHOWN, Link, ReturnType, Unsupported, show

_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
    ast.Is: "is_", ast.IsNot: "is_not",
}  # fmt: skip
_SIGNS = {"eq": "", "ne": "other than ", "lt": "below ", "le": "at most ", "gt": "above ", "ge": "at least "}

_COPIED = (list, tuple, dict, set, frozenset, bytearray, collections.deque)
_CAPTURES = re.compile(r"redirect_std|\bcapsys\b|\bpatch\(|\bsys\.std(?:in|out|err)\s*=(?!=)|\bbuiltins\.\w+\s*=(?!=)")
"""Tests that change what the program reads or prints to: it is in another process."""


class Stop(BaseException):
    """The parent has heard enough."""


class Watched(ast.NodeTransformer):
    """Makes each `assert a == b` keep both sides for the report."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or type(test.ops[0]) not in _COMPARE:
            return node
        name = ast.Constant(_COMPARE[type(test.ops[0])])
        seen = ast.Call(ast.Name("tracemill_seen", ast.Load()), [name, test.left, test.comparators[0]], [])
        return ast.copy_location(ast.Assert(seen, None), node)


class Tests:
    """A test set in its own namespace."""

    def __init__(self, link: Link, plan: dict[str, Any]) -> None:
        self._link = link
        self._plan = plan
        self._compared: list[Any] = []
        self._done = self._count = 0
        self._of = len(plan["tests"])
        self._missing: set[str] = set()
        self._space: dict[str, Any] = {"__name__": "tests", "tracemill_seen": self._seen, "tracemill_end": self._end}

    def run(self) -> None:
        """Everything, in order. The last report says how many tests there were."""
        try:
            self._prepare()
        except BaseException as error:  # noqa: BLE001 - also what exits
            status, detail = self._explain(error)
            known = self._link.calls or status in ("missing", "unsupported")
            self._link.report(test=0, status=status if known else "setup", detail=detail)
            return
        if self._plan["check"]:
            self._run_check()
        else:
            for code in self._plan["tests"]:
                self._end(self._caught(code))
        self._link.report(done=self._done)

    def _prepare(self) -> None:
        """The set's own code first, then the program's names: a helper of the set is never the program's."""
        plan, space = self._plan, self._space
        if any(map(_CAPTURES.search, (plan["setup"], plan["check"], *plan["tests"]))):
            raise Unsupported("changes what the program reads from or prints to")
        for name, module, attribute in plan["modules"]:
            found = importlib.import_module(module)
            space[name] = getattr(found, attribute) if attribute else found
        exec(compile(plan["prelude"], "prelude.py", "exec", dont_inherit=True), space)  # noqa: S102 - this is the box
        wanted = [name for name in plan["names"] if name in (plan["entry"], plan["owner"]) or name not in space]
        found = self._link.ask("names", wanted)
        self._missing = {name for name in (*wanted, *plan["strangers"]) if name not in found and name not in space}
        self._link.named = frozenset(plan["names"])
        space.update(found)
        if plan["owner"]:
            space["candidate"] = self._link.ask("method", plan["owner"], plan["entry"])
        self._link.calls = 0
        exec(compile(_watched(plan["setup"]), "setup.py", "exec", dont_inherit=True), space)  # noqa: S102
        if plan["check"]:
            tree = _watched(plan["check"])
            self._count = _instrument(tree)
            self._of = self._count or 1
            exec(compile(tree, "check.py", "exec", dont_inherit=True), space)  # noqa: S102

    def _caught(self, code: str) -> BaseException | None:
        try:
            exec(compile(_watched(code), "test.py", "exec", dont_inherit=True), self._space)  # noqa: S102
        except BaseException as error:  # noqa: BLE001 - SystemExit is no pass either
            return error
        return None

    def _run_check(self) -> None:
        candidate = self._space.get("candidate", self._space.get(self._plan["entry"]))
        error: BaseException | None = None
        try:
            self._space["check"](candidate)
        except Stop:
            raise
        except BaseException as raised:  # noqa: BLE001
            error = raised
        if error is not None or not self._count:
            self._end(error)
        elif self._done < self._count:  # the program's doing, or meant: nobody can tell
            self._end(Unsupported("check returned before its last test"))

    def _seen(self, name: str, left: Any, right: Any) -> Any:
        self._compared = [name, left, right]  # kept where the comparison raises, or says no
        if name in ("is_", "is_not") and isinstance(left, _COPIED) and isinstance(right, _COPIED):
            raise Unsupported("asks whether two values are one object: what crosses is a copy")
        answer = getattr(operator, name)(left, right)
        if answer:
            self._compared = []
        return answer

    def _end(self, error: BaseException | None) -> None:
        """Report one test."""
        if isinstance(error, Stop):
            raise error
        status, detail = ("passed", "") if error is None else self._explain(error)
        self._compared = []
        self._link.report(test=self._done, of=self._of, status=status, detail=detail)
        self._done += 1
        if error is not None and not self._plan["all"]:
            raise Stop

    def _explain(self, error: BaseException) -> tuple[str, str]:
        try:
            message = str(error)[:SHOWN]
        except Exception:  # noqa: BLE001 - a test's own __str__
            message = ""
        said = f"{type(error).__name__}: {message}" if message else type(error).__name__
        call = self._link.last
        if isinstance(error, Unsupported):
            return "unsupported", message
        if isinstance(error, ReturnType):
            return "refused", f"{call} gave a value of type {message}"
        if getattr(error, "of_program", False):
            return "raised", f"{call} raised {said}"
        if isinstance(error, NameError) and error.name in self._missing:
            return "missing", str(error.name)
        if not isinstance(error, AssertionError):
            # With an object of the program at hand it may be the stand-in that falls short of it.
            return ("unsupported" if self._link.holds_objects else "error"), f"{said} after {call}"
        if not self._compared:
            return "failed", f"{call}: {message or 'not true'}"
        name, left, right = self._compared
        return "failed", f"{call}: expected {_SIGNS.get(name, name + ' ')}{show(right)}, got {show(left)}"


def _watched(code: str) -> ast.Module:
    tree: ast.Module = ast.fix_missing_locations(Watched().visit(ast.parse(code)))
    return tree


def _instrument(tree: ast.Module) -> int:
    """Make each statement of `check` that has an assert in it a test of its own; returns how many there are.

    A call of `check` that stands in the text itself is taken out: it would run the tests a second time.
    """
    kept = [node for node in tree.body if not _calls_check(node)]
    count = 0
    for node in kept:
        if isinstance(node, ast.FunctionDef) and node.name == "check":
            count, body = 0, list[ast.stmt]()
            for statement in node.body:
                is_test = any(isinstance(part, ast.Assert) for part in ast.walk(statement))
                is_test = is_test and not isinstance(statement, ast.FunctionDef | ast.ClassDef)
                count += is_test
                body.append(_as_test(statement) if is_test else statement)
            node.body = body
    tree.body = kept
    ast.fix_missing_locations(tree)
    return count


def _calls_check(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "check"


def _as_test(statement: ast.stmt) -> ast.stmt:
    template = ast.parse(
        "try:\n    pass\nexcept BaseException as error:\n    tracemill_end(error)\nelse:\n    tracemill_end(None)"
    ).body[0]
    assert isinstance(template, ast.Try)
    template.body = [statement]
    template.handlers[0].name = "tracemill_error"
    template.handlers[0].body = [
        ast.Expr(ast.Call(ast.Name("tracemill_end", ast.Load()), [ast.Name("tracemill_error", ast.Load())], []))
    ]
    return ast.copy_location(template, statement)


def main() -> None:
    """Take the plan over the box's channel and run it."""
    from sandbox_channel import receive, reply  # type: ignore[import-not-found]

    del sys.modules["sandbox_channel"]
    try:
        plan = json.loads(receive())
        Tests(Link(receive, reply), plan).run()
    except (EOFError, OSError, Stop):
        sys.exit()
