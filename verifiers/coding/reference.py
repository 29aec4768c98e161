"""Reads a test set: our own form, and those in which MBPP, HumanEval, APPS, TACO and LiveCodeBench are shipped.

Whatever cannot be read is `bad_reference`; a set is read before any answer is looked at. docs/reference/code.md shows
every form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from tracemill.core.ids import canonical_json
from tracemill.core.types import Prompt
from tracemill.verifiers.coding import analysis
from tracemill.verifiers.coding.analysis import Analysis
from tracemill.verifiers.coding.comparison import TOLERANCE
from tracemill.verifiers.verdicts import Undecidable
from tracemill.verifiers.worker import CallFailed, Pool

Kind = Literal["asserts", "check", "calls", "stdio"]
SECONDS = 5.0
"""Limit on reading one test set."""
REFERENCE_SOLUTIONS = ("reference_solution", "canonical_solution")
"""Where a prompt's metadata keeps a program that is known to be right."""
_HINTS = (
    *("entry_point", "language", "prompt", "starter_code", "test_setup", "test_setup_code", "func_name", "metadata"),
    *REFERENCE_SOLUTIONS,
)
"""What of a prompt's metadata a test set may need."""
_pool = Pool(warm=analysis.warm)


@dataclass(frozen=True, slots=True)
class Case:
    """One input with what is expected of it."""

    given: Any
    """Text for standard input, or the list of arguments."""
    expected: Any
    """Text of standard output, or the value."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """What a program is judged by."""

    __test__ = False  # no class of pytest's

    kind: Kind
    language: str = "python"
    entry: str = ""
    """The function under test; of `calls` and `check` also a method of `owner`."""
    owner: str = ""
    """The class whose method it is; an instance is made without arguments."""
    prelude: str = ""
    """Code that the question gave: runs before the program, and before the tests."""
    setup: str = ""
    """Code that runs before the tests, and only there."""
    tests: tuple[str, ...] = ()
    check: str = ""
    cases: tuple[Case, ...] = ()
    argument: int | None = None
    """Of `calls`: the argument that is judged in place of the value, for functions that change it."""
    tolerance: float = TOLERANCE
    seconds: float | None = None
    memory_mb: int | None = None
    names: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    modules: tuple[tuple[str, str, str], ...] = ()
    """These three as in `Analysis`."""

    def budget(self, set_seconds: float) -> float:
        """Processor time of one process: of one case of `stdio`, else of all of them."""
        seconds = self.seconds or 0.0
        count = max(1, len(self.cases) or len(self.tests) or self.check.count("assert "))
        return seconds if self.kind == "stdio" else max(seconds, min(set_seconds, count * seconds))


def test_set(prompt: Prompt) -> TestSet:
    """The prompt's tests. Raises Undecidable `bad_reference`."""
    hints = {name: prompt.metadata[name] for name in _HINTS if prompt.metadata.get(name)}
    return _read(prompt.reference, canonical_json(hints), prompt.text)


@lru_cache(maxsize=512)
def _read(reference: str, hints: str, question: str) -> TestSet:
    """Remembered, since the samples of a prompt share it."""
    raw = _parsed(reference)
    hints_of = json.loads(hints)
    fields = _recognised(raw, hints_of)
    made = _built(fields)
    if made.language == "python" and made.kind != "stdio" and not made.prelude:
        made = replace(made, prelude=_as_prelude(hints_of.get("prompt") or hints_of.get("starter_code") or question))
    if made.kind in ("asserts", "check"):
        found = _analysed(made, solution_of(hints_of))
        if not found.entry:
            raise Undecidable("bad_reference: the tests call no function of the program")
        made = replace(made, entry=found.entry, names=found.names, strangers=found.strangers, modules=found.modules)
    return made


def solution_of(metadata: Mapping[str, Any]) -> str:
    """The program that is known to be right; "" where there is none."""
    found = (metadata.get(name) for name in REFERENCE_SOLUTIONS)
    return next((one for one in found if isinstance(one, str) and one.strip()), "")


def _parsed(reference: str) -> Any:
    if not reference.strip():
        raise Undecidable("bad_reference: no tests")
    if "def check(" in reference and not reference.lstrip().startswith(("{", "[")):
        return {"kind": "check", "check": reference}
    try:
        return json.loads(reference)
    except (ValueError, RecursionError) as error:
        raise Undecidable(f"bad_reference: neither JSON nor a check function: {error}"[:200]) from error


def _recognised(raw: Any, hints: Mapping[str, Any]) -> dict[str, Any]:
    """The set in our own form, with what the metadata adds to it."""
    extra = {
        "entry_point": hints.get("entry_point") or _func_name(hints),
        "language": hints.get("language"),
        "setup": hints.get("test_setup") or hints.get("test_setup_code"),
    }
    given = {name: value for name, value in extra.items() if value}
    if isinstance(raw, dict) and "kind" in raw:
        return {**given, **raw}
    if isinstance(raw, dict) and isinstance(raw.get("inputs"), list) and isinstance(raw.get("outputs"), list):
        return {**given, **_of_apps(raw)}
    if isinstance(raw, list) and raw and all(isinstance(one, str) for one in raw):
        return {**given, "kind": "asserts", "asserts": raw}
    if (
        isinstance(raw, list)
        and raw
        and all(isinstance(one, dict) and {"input", "output"} <= one.keys() for one in raw)
    ):
        return {**given, **_of_livecodebench(raw)}
    raise Undecidable("bad_reference: not a test set (docs/reference/code.md shows the forms)")


def _func_name(hints: Mapping[str, Any]) -> Any:
    """LiveCodeBench keeps it in a column of JSON text."""
    inner = hints.get("metadata")
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except ValueError:
            return None
    return hints.get("func_name") or (inner.get("func_name") if isinstance(inner, dict) else None)


def _of_apps(raw: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs, name = raw["inputs"], raw["outputs"], raw.get("fn_name")
    if len(inputs) != len(outputs):
        raise Undecidable(f"bad_reference: {len(inputs)} inputs and {len(outputs)} outputs")
    if not name:
        pairs = [{"input": _lines(one), "output": _lines(other)} for one, other in zip(inputs, outputs, strict=True)]
        return {"kind": "stdio", "cases": pairs}
    if outputs and all(isinstance(one, list) and len(one) == 1 for one in outputs):
        outputs = [one[0] for one in outputs]  # APPS wraps the value of a call in a list
    cases = [{"args": one, "expected": other} for one, other in zip(inputs, outputs, strict=True)]
    return {"kind": "calls", "entry_point": name, "cases": cases}


def _lines(text: Any) -> Any:
    return "\n".join(text) if isinstance(text, list) and all(isinstance(line, str) for line in text) else text


def _of_livecodebench(raw: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if raw[0].get("testtype", "stdin") == "stdin":
        return {"kind": "stdio", "cases": list(raw)}
    try:
        cases = [
            {"args": [json.loads(line) for line in one["input"].split("\n")], "expected": json.loads(one["output"])}
            for one in raw
        ]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Undecidable(f"bad_reference: arguments that are no JSON: {error}"[:200]) from error
    return {"kind": "calls", "cases": cases}


def _built(fields: Mapping[str, Any]) -> TestSet:
    kind = fields["kind"]
    if kind not in ("asserts", "check", "calls", "stdio"):
        raise Undecidable(f"bad_reference: unknown kind {kind!r}"[:200])
    owner, entry = _owner(_text(fields, "entry_point"), _text(fields, "class"))
    tests = tuple(_texts(fields.get("asserts", []))) if kind == "asserts" else ()
    made = TestSet(
        kind=kind,
        language=(_text(fields, "language") or "python").lower(),
        entry=entry,
        owner=owner,
        prelude=_text(fields, "prelude"),
        setup=_text(fields, "setup"),
        tests=tests,
        check=_text(fields, "check") if kind == "check" else "",
        cases=_cases(kind, fields) if kind in ("calls", "stdio") else (),
        argument=_number(fields, "argument", int),
        tolerance=TOLERANCE if "tolerance" not in fields else _number(fields, "tolerance", float) or 0.0,
        seconds=_number(fields, "seconds", float, 3600),
        memory_mb=_number(fields, "memory_mb", int, 65536),
    )
    if not (made.tests or made.check or made.cases):
        key = {"asserts": "asserts", "check": "check"}.get(kind, "cases")
        raise Undecidable(f"bad_reference: no tests ({kind} has them under {key!r})")
    if kind == "calls" and not entry:
        raise Undecidable("bad_reference: calls without entry_point")
    if kind in ("asserts", "check") and made.language != "python":
        raise Undecidable(f"bad_reference: {kind} are Python; {made.language} takes calls or stdio")
    return made


def _owner(entry: str, owner: str) -> tuple[str, str]:
    """LeetCode sets name a method: "Solution().twoSum"."""
    if "()." in entry:
        owner, _, entry = entry.partition("().")
    if not all(name.isidentifier() for name in (owner, entry) if name):
        raise Undecidable("bad_reference: entry_point is no name")
    return owner, entry


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name) or ""
    if not isinstance(value, str):
        raise Undecidable(f"bad_reference: {name} must be text")
    return value


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise Undecidable("bad_reference: asserts must be a list of texts")
    return values


def _number(fields: Mapping[str, Any], name: str, kind: type[Any], most: float = 1e6) -> Any:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Undecidable(f"bad_reference: {name} must be a number from 0 to {most:g}")
    return kind(value)


def _cases(kind: Kind, fields: Mapping[str, Any]) -> tuple[Case, ...]:
    raw = fields.get("cases", [])
    if not isinstance(raw, list):
        raise Undecidable("bad_reference: cases must be a list")
    return tuple(_case(kind, one) for one in raw)


def _case(kind: Kind, raw: Any) -> Case:
    names = ("input", "output") if kind == "stdio" else ("args", "expected")
    if not isinstance(raw, dict) or not set(names) <= raw.keys():
        raise Undecidable(f"bad_reference: a case of {kind} needs {names[0]} and {names[1]}")
    given, expected = (raw[name] for name in names)
    if kind == "stdio" and not (isinstance(given, str) and isinstance(expected, str)):
        raise Undecidable("bad_reference: input and output must be text")
    if kind == "calls" and not isinstance(given, list):
        raise Undecidable("bad_reference: args must be a list")
    return Case(given, expected)


def _as_prelude(question: Any) -> str:
    """The question itself, where it is code that an answer goes on with: HumanEval's head of the function."""
    is_code = isinstance(question, str) and ("def " in question or "import " in question)
    return question if is_code and _is_python(question) else ""


def _is_python(text: str) -> bool:
    try:
        _pool.call(analysis.parses, text, seconds=SECONDS)
    except CallFailed:
        return False
    return True


def _analysed(made: TestSet, solution: str) -> Analysis:
    arguments = (made.prelude, made.setup, made.tests, made.check, made.entry, made.owner, solution)
    try:
        found: Analysis = _pool.call(analysis.analyse, *arguments, seconds=SECONDS)
    except CallFailed as error:  # a worker that died or was late says nothing of the tests
        raise Undecidable(
            f"bad_reference: the tests cannot be read: {error.reason.removeprefix('error: ')}"[:200]
        ) from error
    return found
