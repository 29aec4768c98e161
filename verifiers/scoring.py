"""Runs reasoning-gym's scorers and doubts them. Runs in a worker process only: scorers hang, print and evaluate text.

A wrong answer that holds the gold one as a whole ("The GCD is 6") is no wrong answer for sure: UNDECIDED `in_prose`.
Measured on reasoning-gym 0.1.25 (106 families): game_of_life_halting gives 1.0 to any text, puzzle24 to any four
numbers that make 24, gsm_symbolic to "405 or 1090" and "not 405", complex_arithmetic to "nan"; arc_agi and rearc
refuse their own gold after JSON (tuples became lists); nine families evaluate the answer as Python; coin_flip gives
1.0 to "0" for 0.171875, knights_knaves to "<gold> is wrong". So a 1.0 is believed only where the scorer would not give
it to a mangled answer too, where a number is the gold number, and a gold answer must score 1.0 itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
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
_NUMBER = re.compile(r"[+-]?(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3}|/\d+)?")
_ERROR = {"coin_flip": Fraction(1, 10_000), "power_function": None}
"""Families that ask for a rounded number, with the error that they allow; None: their scorer rounds as asked."""
_RELATIVE = Fraction(1, 100)
"""Largest part of the gold that such an error may make up: 0 is no rounding of 0.00003."""
LONGEST_NUMBER = 500
_GRAMMAR = {"rubiks_cube": re.compile(r"[FRUBLD][2']?(?: [FRUBLD][2']?)*"), "sokoban": re.compile(r"[LRUD]+")}
"""Families whose scorer plays the moves and overlooks what is none: an answer of moves alone is judged by the play."""


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
    if _holds(candidates[-1], entry.get("answer") or ""):
        raise Undecidable("in_prose")
    return "wrong", min(max(best[0], 0.0), 1.0), best[1]


def _holds(answer: str, gold: str) -> bool:
    """Whether the gold answer stands in the text, "The GCD is 6": as a whole, not in a word, a number or a fraction."""
    folded, wanted = ("\n".join(map(_fold, text.strip().rstrip(".").splitlines())) for text in (answer, gold))
    left = r"(?<![\w./\-^])(?<!\d,)" if wanted[:1].isalnum() else ""
    right = r"(?![\w/^*]|[.,]\d)" if wanted[-1:].isalnum() else ""
    return bool(wanted) and re.search(left + re.escape(wanted) + right, folded) is not None


@lru_cache(maxsize=256)
def _scorer(task: str) -> Callable[[str, Any], float]:
    import reasoning_gym

    try:
        return reasoning_gym.get_score_answer_fn(task)  # type: ignore[no-any-return]
    except (ValueError, AssertionError):  # unknown; `composite`, which has no scorer of its own
        raise Undecidable("bad_reference: unknown task") from None


def _with_gold(scorer: Callable[[str, Any], float], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry in the form in which its own answer scores 1.0: as it is, or with tuples where JSON left lists."""
    gold = entry.get("answer")
    if gold is None:  # boxnet, graph_color, propositional_logic, rubiks_cube, rush_hour: judged by the puzzle alone
        if not _has_details(entry):
            raise Undecidable("bad_reference: needs metadata.entry")
        return entry
    for form in (entry, {**entry, "metadata": _tuples(entry.get("metadata", {}))}):
        try:
            if scorer(gold, copy.deepcopy(form)) == 1.0:
                return form
        except Exception:  # noqa: BLE001 - an entry that its own scorer cannot read is no reference
            continue
    raise Undecidable(
        "bad_reference: its own scorer refuses it" if _has_details(entry) else "bad_reference: needs metadata.entry"
    )


def _has_details(entry: Mapping[str, Any]) -> bool:
    """Whether it comes from the task, rather than being made of a question and an answer."""
    return len(entry.get("metadata", {})) > 1  # source_dataset is always there


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
    number = _number(gold)
    if number is not None:
        if not _is_near(number, _number(answer), _ERROR.get(task, Fraction(0))):
            raise Undecidable("lenient_scorer")
        return
    if task in _GRAMMAR and _GRAMMAR[task].fullmatch(answer):
        return
    hedges = set(map(str.lower, _HEDGE.findall(answer))) - set(map(str.lower, _HEDGE.findall(gold)))
    probes = ["@@", *_mangled(answer), *([f"not {answer}", f"{answer} or zzz"] if hedges else [])]
    probes += [_cut(gold)] if gold else []
    if task in EVALUATING:
        probes = [probe for probe in probes if is_harmless(probe)]
    if hedges & {"nan", "inf", "infinity"} or any(_is_full(scorer, probe, entry) for probe in probes):
        raise Undecidable("lenient_scorer")


def _mangled(answer: str) -> list[str]:
    """The answer made wrong in the ways that scorers were seen to overlook: sign, addition, denial, end cut off."""
    negated = answer[1:] if answer.startswith("-") else f"-{answer}"
    return [negated, f"{answer} 999", f"{answer}, 999", f"{answer} is wrong", _cut(answer)]


def _cut(text: str) -> str:
    """The text without its last letter or digit and what follows it."""
    return re.sub(r"\w\W*$", "", text)


def _number(text: str) -> Fraction | None:
    """The value of a text that is one number, perhaps in dollars or with a full stop; else None."""
    bare = text.strip().strip("$").rstrip(".").strip()
    if not _NUMBER.fullmatch(bare) or len(bare) > LONGEST_NUMBER:
        return None
    try:
        return Fraction(bare.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None


def _is_near(gold: Fraction, value: Fraction | None, error: Fraction | None) -> bool:
    allowed = abs(gold) * _RELATIVE
    return value is not None and abs(gold - value) <= (allowed if error is None else min(error, allowed))


def _is_full(scorer: Callable[[str, Any], float], answer: str, entry: Mapping[str, Any]) -> bool:
    try:
        return scorer(answer, copy.deepcopy(entry)) == 1.0
    except Exception:  # noqa: BLE001 - a scorer that raises on nonsense does not accept it
        return False


def _fold(text: str) -> str:
    """Without case, spaces beside brackets and commas, the .00 of whole numbers, and a full stop at the end."""
    close = re.sub(r" ?([,:()\[\]{}]) ?", r"\1", " ".join(text.casefold().split()))
    return re.sub(r"(?<![\w.])(\d+)\.0+(?![\w.])", r"\1", close).rstrip(".")


def is_harmless(answer: str) -> bool:
    """Evaluating it can call nothing but functions of mathematics: no other name of two letters, no format string."""
    if "(" not in answer:
        return True
    rest = _STRING.sub(" ", answer)
    names = re.findall(r"[^\W\d]\w*", rest)
    return not re.search(r"[\"'`\\@]", rest) and all(len(name) == 1 or name in _FUNCTIONS for name in names)
