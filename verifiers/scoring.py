"""Runs reasoning-gym's scorers and doubts them. Runs in a worker process only: scorers hang, print and evaluate text.

Measured on reasoning-gym 0.1.25 (106 families): game_of_life_halting gives 1.0 to any text, puzzle24 to any four
numbers that make 24, gsm_symbolic to "405 or 1090" and "not 405", complex_arithmetic to "nan"; arc_agi and rearc
refuse their own gold after JSON (tuples became lists); nine families evaluate the answer as Python. So a 1.0 is
believed only where the scorer would not give it to nonsense too, and a gold answer must score 1.0 itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tracemill.verifiers.verdicts import Undecidable

EVALUATING = {
    "binary_matrix", "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication", "puzzle24",
    "simple_integration", "spiral_matrix", "string_insertion",
}  # fmt: skip
"""Families whose scorer gives the answer to eval or to sympy's parse_expr, which evaluates it with all builtins."""

_FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "ln",
    "sqrt", "Abs", "abs", "pi", "E", "I", "Integral", "erf", "asinh", "acosh", "atanh", "Rational",
}  # fmt: skip
_STRING = re.compile(r"(?<!\w)(?:'[^'\\\n{}]*'|\"[^\"\\\n{}]*\")")
_HEDGE = re.compile(r"\b(?:or|not|nor|neither|either|if|maybe|perhaps|unless|vs|nan|inf|infinity)\b|n't", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def warm() -> None:
    """Import reasoning-gym with all its families."""
    import reasoning_gym

    reasoning_gym.get_score_answer_fn("chain_sum")


def score(task: str, entry: Mapping[str, Any], candidates: Sequence[str]) -> tuple[str, float | None, str]:
    """Outcome value, score and the candidate that was scored best. Raises Undecidable; scorers raise what they like."""
    scorer = _scorer(task)
    trusted = _with_gold(scorer, entry)
    best: tuple[float, str] | None = None
    failure: Exception | None = None
    for answer in dict.fromkeys(candidates):
        if task in EVALUATING and not is_harmless(answer):
            raise Undecidable("unsafe_answer")
        try:
            value = float(scorer(answer, copy.deepcopy(trusted)))
        except Exception as error:  # noqa: BLE001 - tried with the next candidate first, raised below
            failure = error
            continue
        if best is None or value > best[0]:
            best = value, answer
    if best is None:
        raise failure or Undecidable("no_answer")
    if best[0] == 1.0:
        _doubt(task, scorer, trusted, best[1])
        return "correct", 1.0, best[1]
    return "wrong", min(max(best[0], 0.0), 1.0), best[1]


@lru_cache(maxsize=256)
def _scorer(task: str) -> Callable[[str, Any], float]:
    import reasoning_gym

    try:
        return reasoning_gym.get_score_answer_fn(task)  # type: ignore[no-any-return]
    except (ValueError, AssertionError):  # unknown; `composite`, which has no scorer of its own
        raise Undecidable("bad_reference") from None


def _with_gold(scorer: Callable[[str, Any], float], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry in the form in which its own answer scores 1.0: as it is, or with tuples where JSON left lists."""
    gold = entry.get("answer")
    if gold is None:  # boxnet, graph_color, propositional_logic, rubiks_cube, rush_hour: judged by the puzzle alone
        if len(entry.get("metadata", {})) < 2:
            raise Undecidable("bad_reference")
        return entry
    for form in (entry, {**entry, "metadata": _tuples(entry.get("metadata", {}))}):
        try:
            if scorer(gold, copy.deepcopy(form)) == 1.0:
                return form
        except Exception:  # noqa: BLE001 - an entry that its own scorer cannot read is no reference
            continue
    raise Undecidable("bad_reference")


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _doubt(task: str, scorer: Callable[[str, Any], float], entry: Mapping[str, Any], answer: str) -> None:
    """Raises Undecidable where a score of 1.0 says nothing about this answer."""
    gold = entry.get("answer") or ""
    if _fold(answer) == _fold(gold):
        return
    if task == "puzzle24" and sorted(map(int, re.findall(r"\d+", answer))) != sorted(
        entry["metadata"].get("numbers", [])
    ):
        raise Undecidable("lenient_scorer")
    several = _NUMBER.fullmatch(gold.lstrip("-")) and len(_NUMBER.findall(answer)) > 1
    hedges = set(map(str.lower, _HEDGE.findall(answer))) - set(map(str.lower, _HEDGE.findall(gold)))
    probes = ["@@"] + [f"not {answer}", f"{answer} or zzz"] * bool(several or hedges)
    if hedges & {"nan", "inf", "infinity"} or any(_is_full(scorer, probe, entry) for probe in probes):
        raise Undecidable("lenient_scorer")


def _is_full(scorer: Callable[[str, Any], float], answer: str, entry: Mapping[str, Any]) -> bool:
    try:
        return scorer(answer, copy.deepcopy(entry)) == 1.0
    except Exception:  # noqa: BLE001 - a scorer that raises on nonsense does not accept it
        return False


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def is_harmless(answer: str) -> bool:
    """Evaluating it can call nothing but functions of mathematics: no other name of two letters, no format string."""
    if "(" not in answer:
        return True
    rest = _STRING.sub(" ", answer)
    names = re.findall(r"[^\W\d]\w*", rest)
    return not re.search(r"[\"'`\\@]", rest) and all(len(name) == 1 or name in _FUNCTIONS for name in names)
