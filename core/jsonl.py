"""Reads JSON Lines written by others: each row with its place, and one clear line for what is not a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tracemill.core.errors import InputError


def json_rows(lines: Iterable[str], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects with their place, `name:line`; blank lines are passed over. Raises InputError naming the place."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{name}:{number}", _row(line, f"{name}:{number}")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}:{number + 1}: not UTF-8 text: {error.reason}") from error
    except (EOFError, OSError) as error:
        raise InputError(f"{name}:{number + 1}: cannot be read: {error}") from error


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not valid JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{place}: a line must be a JSON object, this is {type(row).__name__}")
    return row
