"""Reads the options of a multiple-choice question, A to J, from the prompt's metadata or from its text.

Does not judge answers. What cannot be read for certain (numbered options, letters out of order) is no option list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tracemill.verifiers.normal_text import fold
from tracemill.verifiers.verdicts import Undecidable

LETTERS = "ABCDEFGHIJ"
LONGEST = 200_000
"""Longest prompt (characters) that is read for options."""

_MARK = r"(?:\(([A-J])\)|\[([A-J])\]|\*\*\(?([A-J])\)?[.):]?\*\*[.):]?|([A-J])(?:[):：．、）]|\.(?=\s)))"
_LINE = re.compile(rf"^[ \t>]*(?:[*•-][ \t]+)?{_MARK}[ \t]*(.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?:^|(?<=\s))(?:\(([A-J])\)|([A-J])[.)])\s+")


def options_of(text: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    """The options by letter; empty where there are none to be found. Raises Undecidable for metadata that is wrong."""
    given = metadata.get("choices")
    if given is not None:
        return _from_metadata(given)
    return _by_line(text[-LONGEST:]) or _in_line(text[-LONGEST:])


def option_lines(text: str) -> list[tuple[str, str]]:
    """The lines of a text that are written as options, as (letter, text)."""
    return [(_letter(match.groups()[:4]), match[5].strip()) for match in _LINE.finditer(text)]


def letters_with(value: str, options: Mapping[str, str]) -> str:
    """The letters whose option says this text."""
    folded = fold(value)
    return "".join(letter for letter, text in options.items() if folded and fold(text) == folded)


def _from_metadata(given: Any) -> dict[str, str]:
    """A list of texts; a mapping of letters to texts; or {"label": [...], "text": [...]}, as ARC has it."""
    if isinstance(given, Mapping) and set(given) == {"label", "text"}:
        labels, texts = given["label"], given["text"]
        pairs = list(zip(labels, texts, strict=False)) if len(labels) == len(texts) else []
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        pairs = list(zip(LETTERS, given, strict=False)) if len(given) <= len(LETTERS) else []
    else:
        pairs = []
    options = {str(letter).strip(" ().").upper(): str(text).strip() for letter, text in pairs}
    options = {letter: re.sub(rf"^\(?{re.escape(letter)}[.)]\s+", "", text) for letter, text in options.items()}
    if not options or len(options) != len(pairs) or not all(letter in LETTERS and letter for letter in options):
        raise Undecidable("bad_reference: metadata.choices must be texts for the letters A to J")
    if not all(fold(text) for text in options.values()):
        raise Undecidable("bad_reference: metadata.choices holds an empty text")
    return options


def _by_line(text: str) -> dict[str, str]:
    """The last run of lines A, B, … in order: earlier runs are worked examples."""
    options: dict[str, str] = {}
    for letter, line in option_lines(text):
        if letter == "A":
            options = {"A": line}
        elif options and letter == LETTERS[len(options) % len(LETTERS)]:
            options[letter] = line
    return options if len(options) > 1 and all(fold(line) for line in options.values()) else {}


def _in_line(text: str) -> dict[str, str]:
    """Options that follow one another in a line: (A) 1 (B) 2 (C) 3."""
    marks = [(_letter(match.groups()), match) for match in _INLINE.finditer(text)]
    starts = [index for index, (letter, _) in enumerate(marks) if letter == "A"]
    if not starts:
        return {}
    run = marks[starts[-1] :]
    options: dict[str, str] = {}
    for index, (letter, match) in enumerate(run):
        if index >= len(LETTERS) or letter != LETTERS[index]:
            break
        end = run[index + 1][1].start() if index + 1 < len(run) else len(text)
        options[letter] = text[match.end() : end].strip().split("\n")[0].strip(" ,;")
    return options if len(options) > 1 and all(fold(line) for line in options.values()) else {}


def _letter(groups: Sequence[str | None]) -> str:
    return next(group for group in groups if group)
