"""One piece of personal data or one secret in a text."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Datum:
    """Where it stands, and what may be shown of it."""

    kind: str
    start: int
    end: int
    """Characters, half open."""
    same: str
    """Lower-case letters and digits that are equal however the datum is written: with spaces, in capitals, …"""
    shown: str
    """A form that tells a reader what it is and does not give it away."""


_APART = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Letters and digits alone, case folded: what a chain and its prompt are compared by."""
    return _APART.sub("", text).casefold()
