"""Compiles and tries regular expressions. Runs in a worker process only: a pattern may take for ever, or all memory."""

from __future__ import annotations

import re
import warnings

from tracemill.verifiers.verdicts import Undecidable


def warm() -> None:
    """Nothing to import."""


def check(pattern: str) -> bool:
    """True for a pattern that compiles. Raises Undecidable (`bad_reference`)."""
    _compiled(pattern)
    return True


def matches(pattern: str, text: str, search: bool) -> bool:
    """Whether the pattern matches all of the text or, with `search`, a part of it."""
    compiled = _compiled(pattern)
    return (compiled.search(text) if search else compiled.fullmatch(text)) is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # "possible nested set" is no fault of the answer's
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        line = " ".join(str(error).split())[:120]
        raise Undecidable(f"bad_reference: {line}") from None
