"""The text of a judgement: what a judge model is shown, and what counts as its reply. Asks nobody.

What is judged was written by others, perhaps to win. So it goes into the prompt as JSON strings, which it cannot end,
and the reply must close with a code that stands outside them: the hash of what is judged, which nobody can write into
it. A ready-made reply that the model copies from an answer lacks the code, or has it in the wrong place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracemill.core.ids import content_id
from tracemill.core.types import Completion
from tracemill.verifiers.verdicts import Undecidable

CODE_CHARS = 12
"""48 bits: too many to find an answer that holds its own code."""
QUOTED = 120
"""Longest piece (characters) of a reply that a reason quotes."""

# What a tokenizer may read as a control token: <|im_start|>, <｜User｜>, </s>, <think>, <<SYS>>, [INST], [gMASK], ]~b].
_CONTROL = re.compile(r"<(?=[^<>\s]{1,80}>|<)|\[(?=/?\w*[A-Z]{2}\w*\])|[\[\]](?=[~!])|(?<=[~\]!])\[")
_MARK = re.compile(r"\{(data|request)\}")


def as_data(fields: Mapping[str, str]) -> str:
    """The texts as one JSON object in one line, from which no text gets out and in which none is hidden.

    Control tokens and characters without a glyph (control, format, private, surrogate) are written as \\u escapes.
    """
    return "{" + ", ".join(f"{json.dumps(name)}: {_string(text)}" for name, text in fields.items()) + "}"


def _string(text: str) -> str:
    quoted = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
    return "".join(one if one.isprintable() and one < "\U000e0000" else json.dumps(one)[1:-1] for one in quoted)


def code_of(template: str, data: str) -> str:
    """The code that the reply to this prompt must carry."""
    return content_id("judgement", template, data)[:CODE_CHARS]


def filled(template: str, data: str, code: str) -> str:
    """The prompt with its marks replaced, in one pass: a mark that stands in the data stays."""
    values = {"data": data, "request": code}
    return _MARK.sub(lambda match: values[match[1]], template)


def lacks(template: str) -> list[str]:
    """The marks that a template does not have."""
    return [mark for mark in ("{data}", "{request}") if mark not in template]


def schema(field: str, decisions: Collection[str]) -> str:
    """JSON Schema of a reply. The code in it may be any: that the model copies the right one is what is asked of it."""
    properties = {
        "analysis": {"type": "string", "maxLength": 600},
        field: {"enum": list(decisions)},
        "request": {"type": "string", "pattern": f"^[0-9a-f]{{{CODE_CHARS}}}$"},
    }
    return json.dumps(
        {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge model decided, with its analysis in one line."""

    decision: str
    analysis: str


def read(done: Completion, code: str, field: str, decisions: Collection[str]) -> Judgement:
    """The judgement in a reply: an object of `analysis`, `field` and `request`, in this order, after any reasoning.

    Raises Undecidable: `judgement_cut_off`, `conflicting_judgements`, or `invalid_judgement` with what is wrong.
    """
    if done.finish_reason != "stop":
        raise Undecidable("judgement_cut_off")
    fault = "no JSON object"
    found: list[Judgement] = []
    for given in _objects(done):
        fault = _fault(given, code, field, decisions)
        if not fault:
            values = dict(given)
            found.append(Judgement(_word(values[field]), one_line(values["analysis"])))
    if not found:
        raise Undecidable(f"invalid_judgement: {fault} in {one_line(done.text)[:QUOTED]!r}")
    if len({one.decision for one in found}) > 1:
        raise Undecidable("conflicting_judgements")
    return found[-1]


def _fault(given: list[tuple[str, Any]], code: str, field: str, decisions: Collection[str]) -> str:
    """What keeps an object from being a judgement. Its fields come as pairs: one that stands twice is a fault."""
    if [name for name, _ in given] != ["analysis", field, "request"] or not all(isinstance(v, str) for _, v in given):
        return "other fields"
    if given[2][1] != code:
        return "another code"
    return "" if _word(given[1][1]) in decisions else f"no such {field}"


def _word(value: str) -> str:
    return value.strip().casefold()


def _objects(done: Completion) -> Iterator[list[tuple[str, Any]]]:
    """The outermost JSON objects of a reply, without those that the model wrote while it was thinking."""
    text, at = done.text, 0
    found: list[list[tuple[str, Any]]] = []
    decoder = json.JSONDecoder(object_pairs_hook=list, strict=False)  # a line break in a string is no fault
    thinks = done.reasoning is None and text.lstrip().startswith("<think>")
    while True:
        start = text.find("{", at)
        between = text[at:] if start < 0 else text[at:start]
        if "</think>" in between:
            thinks, found = False, []
        if start < 0:
            break
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
        else:
            found.append(value)
    return iter([] if thinks else found)


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())
