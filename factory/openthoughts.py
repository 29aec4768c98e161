"""The rows of open-thoughts/OpenThoughts-114k, of both its configurations, and of sets with the same `conversations`.

`metadata` rows have a reference: tests for code, the letter of a riddle, the box of a worked solution; science has none
and stays without. `default` rows are a conversation and no reference, so `format` judges them unless the recipe says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tracemill.core.errors import InputError
from tracemill.factory.cells import Cells
from tracemill.factory.layouts import R1, ColumnLayout, Common, Recorded, Row, prompt_of
from tracemill.factory.sources import cell_text

_VERIFIERS = {"code": "code", "puzzle": "choice"}
"""By domain; `math` for the others. The puzzles are riddle_sense's, with options A to E."""
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
_REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields of a turn that hold the chain, where it is kept apart from the answer."""
_TAGGED = re.compile(
    r"\s*<\|begin_of_thought\|>(?P<thought>.*?)<\|end_of_thought\|>"
    r"\s*<\|begin_of_solution\|>(?P<solution>.*?)<\|end_of_solution\|>\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class OpenThoughts:
    """Rows of either configuration."""

    def row(self, row: Mapping[str, Any], place: str, common: Common) -> Row:
        """See `Layout`."""
        if "conversations" in row:
            return conversation(row["conversations"], "conversations", place, common)
        cells = Cells(row, place, "")
        domain = cell_text(cells.get("", "domain")) or "general"
        return _columns(domain).row(_whole(cells, domain), place, common)


@cache
def _columns(domain: str) -> ColumnLayout:
    is_code = domain == "code"
    return ColumnLayout(
        text="problem",
        reference="test_cases" if is_code else "ground_truth_solution",
        completion="deepseek_solution",
        reasoning="deepseek_reasoning",
        metadata=("source", "starter_code") if is_code else ("source",),
        verifier=_VERIFIERS.get(domain, "math"),
        domain=domain,
        written_by=R1,
        fixed=True,
    )


def _whole(cells: Cells, domain: str) -> dict[str, Any]:
    """The row as the column map reads it: the code that a question starts with is part of the question, as the model
    saw it (open-thoughts, `open_thoughts/prompt.py`), and a worked solution is its boxed answer."""
    problem, starter = cell_text(cells.get("", "problem")), ""
    changed = dict(cells.row)
    if domain == "code":
        starter = cell_text(cells.get("", "starter_code"))
    elif domain not in _VERIFIERS:
        changed["ground_truth_solution"] = boxed_answer(cell_text(cells.get("", "ground_truth_solution")))
    return {**changed, "problem": f"{problem}\n{starter}" if problem and starter else problem}


def boxed_answer(solution: str) -> str:
    """What a worked solution has in its box; "" where there is none, or several that differ: no gold is better than a
    wrong one, which a solution's text as a whole can be taken for."""
    found = set()
    for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", solution):
        depth = 1
        for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(solution, match.end()):
            depth += (brace[0] == "{") - (brace[0] == "}")
            if depth == 0:
                found.add(solution[match.end() : brace.start()].strip())
                break
    return found.pop() if len(found) == 1 else ""


def conversation(
    turns: Any,
    column: str,
    place: str,
    common: Common,
    reference: str = "",
    verifier: str = "format",
    domain: str = "general",
) -> Row:
    """One question and its answer; OpenThoughts' tags become reasoning and answer, other texts stay as they are."""
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise InputError(f"{place}: column {column!r} must be a list of turns")
    spoken = [(_ROLES.get(str(turn.get("from", turn.get("role")))), turn) for turn in turns]
    texts = [turn.get("value", turn.get("content")) for role, turn in spoken if role != "system"]
    roles = [role for role, _ in spoken if role != "system"]
    if roles[:1] != ["user"] or not isinstance(texts[0], str) or not texts[0].strip():
        raise InputError(f"{place}: column {column!r} must begin with a user's question")
    prompt = prompt_of(texts[0], reference, verifier, domain, {}, common)
    if roles != ["user", "assistant"]:
        return Row(prompt, (), ("not one question and one answer",))
    if not isinstance(texts[1], str):
        return Row(prompt, (), ("completion is null",))
    found = _TAGGED.fullmatch(texts[1])
    if found is None:
        (said,) = (turn for role, turn in spoken if role == "assistant")
        apart = next((said[name] for name in _REASONING if isinstance(said.get(name), str)), None)
        return Row(prompt, (Recorded(texts[1], apart, common.model),))
    parts = Recorded(found["solution"].strip(), found["thought"].strip(), common.model)
    return Row(prompt, (parts,))
