"""Dates and times of day in answers: January 2, 2024 is 2024-01-02, 3:30 PM is 15:30.

A text is read as the set of moments that it may mean: 01/02/2024 is two days, 3:30 two times. Does not read English
beyond month names, nor time zones.
"""

from __future__ import annotations

import re
from datetime import date

from tracemill.verifiers.words import plain

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = rf"(?P<month>{'|'.join((*_FULL, 'sept', *_MONTHS))})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WRITTEN = (
    re.compile(rf"{_MONTH} ?{_DAY}(?:[, ] ?(?P<year>\d{{4}}))?"),
    re.compile(rf"(?:the )?{_DAY}(?: of)? ?{_MONTH}(?:[, ] ?(?P<year>\d{{4}}))?"),
)
_ISO = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})")
_NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_TIME = re.compile(r"(\d{1,2})(?::([0-5]\d))?(?: ?([ap])\.?m)?")
_LOOKS = re.compile(
    r"(?<![\w.^{(+*/-])\d{1,4}([-/])\d{1,2}\1\d{1,4}(?![\w.^}*/(+-])|(?<![\w.])\d{1,2}:\d\d(?!\d)"
    r"|\d ?[ap]\.?m\b|(?i:\b(?:" + "|".join(month for month in _FULL if month != "may") + r")\b.*\d)"
)

Moment = tuple[int, ...]
"""(year or 0, month, day), or (minutes since midnight,)."""


def looks_like_date(text: str) -> bool:
    """A date or a time of day: digits that a formula would compute."""
    return _LOOKS.search(text) is not None


def compare_dates(reference: str, answer: str) -> bool | None:
    """Whether two normalised texts mean the same moment; None where that cannot be told."""
    first, second = _moments(plain(reference)), _moments(plain(answer))
    if not first or not second or len(first) > 1 or len(second) > 1:
        return True if first and first == second and plain(reference) == plain(answer) else None
    (one,), (other,) = first, second
    if len(one) == len(other) == 3 and 0 in (one[0], other[0]) and one[0] != other[0]:
        return False if one[1:] != other[1:] else None  # the year is missing on one side
    return one == other if len(one) == len(other) else None


def _moments(text: str) -> set[Moment]:
    """All that the text may mean; empty where it is neither a date nor a time."""
    text = text.replace("\\", "").strip(" .$")
    for pattern in _WRITTEN:
        if match := pattern.fullmatch(text):
            month = _MONTHS.index(match["month"][:3]) + 1
            return _days([(int(match["year"] or 0), month, int(match["day"]))])
    if match := _ISO.fullmatch(text):
        return _days([(int(match[1]), int(match[3]), int(match[4]))])
    if match := _NUMERIC.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        return _days([(year, first, second), (year, second, first)])
    if (match := _TIME.fullmatch(text)) and (match[2] or match[3]):
        return _times(int(match[1]), int(match[2] or 0), match[3])
    return set()


def _days(candidates: list[tuple[int, int, int]]) -> set[Moment]:
    found: set[Moment] = set()
    for year, month, day in candidates:
        try:
            date(year or 2000, month, day)
        except ValueError:
            continue
        found.add((year, month, day))
    return found


def _times(hour: int, minute: int, half: str | None) -> set[Moment]:
    if half:
        return {(hour % 12 * 60 + minute + 720 * (half == "p"),)} if 1 <= hour <= 12 else set()
    if hour > 23:
        return set()
    halves: set[Moment] = {(hour % 12 * 60 + minute,), (hour % 12 * 60 + minute + 720,)}
    return halves if 1 <= hour <= 12 else {(hour * 60 + minute,)}
