"""What came out of running a program on a test set, in the words of a verdict."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tracemill.core.types import Outcome
from tracemill.verifiers.coding.values import Tree, decode
from tracemill.verifiers.sandbox import Ending, Limits, Run

SHOWN = 120
"""Most characters of a value or a line of output in a reason."""
_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_MEGABYTES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_SHOWABLE = 10_000
_NO_JSON = ("ndarray", "dict_keys", "dict_values", "dict_items")
SLOW = "wall_limit"
"""Code of a run that the clock ended while the program hardly ran: the machine's fault, or a sleeper's."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a program did on a test set."""

    outcome: Outcome
    code: str
    """Of the reason: `passed`, `different`, `time_limit`, …"""
    detail: str = ""
    passed: int = 0
    total: int = 0
    """Tests of the set; 0 where it could not be told."""
    cpu_s: float = 0.0
    """Of the program, all its runs together."""
    memory_mb: float = 0.0
    tier: int = 0

    def measured(self, run: Run) -> Report:
        """With what one more run of the program used."""
        return replace(self, cpu_s=self.cpu_s + run.cpu_s, memory_mb=max(self.memory_mb, run.memory_mb), tier=run.tier)

    def reason(self) -> str:
        """One line. What was used is told in steps, so that the same program gets the same reason twice."""
        parts = [self.detail] if self.detail else []
        if self.total:
            parts.append(f"{self.passed} of {self.total} tests passed")
        if self.tier:
            parts.append(f"within {_step(self.cpu_s, _SECONDS)} s, {_step(self.memory_mb, _MEGABYTES)} MB")
            parts.append(f"tier {self.tier}")
        return " ".join(f"{self.code}: {'; '.join(parts)}".split()) if parts else self.code


def _step(value: float, steps: tuple[float, ...]) -> float:
    return steps[min(bisect_left(steps, value), len(steps) - 1)]


def fault(run: Run, limits: Limits, where: str) -> Report:
    """Why a run ended that was to go on. `where` names the test."""
    ours = {
        Ending.CPU: ("time_limit", f"{where}: used {limits.cpu_s:g} s of processor time"),
        Ending.MEMORY: ("memory_limit", f"{where}: {limits.memory_mb} MB"),
        Ending.OUTPUT: ("output_limit", f"{where}: more than {limits.output_kb} KB"),
        Ending.SIGNALLED: ("crashed", f"{where}: signal {run.code}"),
        Ending.EXITED: ("exited", f"{where}: the program ended by itself, exit status {run.code}"),
    }
    if run.ending is Ending.BROKEN:
        return Report(Outcome.UNDECIDED, "sandbox", cut(run.stderr.decode(errors="replace")))
    if run.ending is Ending.WALL:
        if run.cpu_s >= limits.cpu_s / 2:
            return Report(Outcome.WRONG, "time_limit", f"{where}: {limits.wall_s:g} s by the clock")
        return Report(Outcome.UNDECIDED, SLOW, f"{where}: {limits.wall_s:g} s by the clock, {run.cpu_s:.1f} s used")
    return Report(Outcome.WRONG, *ours[run.ending])


def again_if_slow(work: Callable[[], Report]) -> Report:
    """A second try where the clock ran out on a program that hardly ran; then it stays undecided."""
    first = work()
    return work() if first.code == SLOW else first


def cut(text: str) -> str:
    """One line of a bounded length."""
    plain = " ".join(text[: 4 * SHOWN].split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"


class _Object:
    """Stands for a value that did not cross."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{self._kind} object>"


def shown(tree: Tree) -> str:
    """A value as it came back, as Python writes it; long ones as they came."""
    text = json.dumps(tree)
    if len(text) > _SHOWABLE:
        return cut(text)
    try:
        return cut(repr(decode(tree, _placed)))
    except ValueError:
        return cut(text)


def _placed(name: str, held: Any) -> Any:
    if name != "object":
        raise ValueError(name)
    return _Object(str(held[1][0]))


def holds_object(tree: Tree) -> bool:
    """Whether something in it did not cross as plain content."""
    if isinstance(tree, dict):
        return bool({"object", *_NO_JSON} & tree.keys()) or any(map(holds_object, tree.values()))
    return isinstance(tree, list) and any(map(holds_object, tree))
