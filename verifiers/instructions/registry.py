"""Which function makes the check of which instruction, and the reading of an IFEval row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tracemill.verifiers.instructions import layout, wording
from tracemill.verifiers.instructions.arguments import Arguments, Check
from tracemill.verifiers.verdicts import Undecidable

CHECKS: Mapping[str, Callable[[Arguments], Check]] = {
    "keywords:existence": wording.existence,
    "keywords:frequency": wording.frequency,
    "keywords:forbidden_words": wording.forbidden_words,
    "keywords:letter_frequency": wording.letter_frequency,
    "language:response_language": wording.response_language,
    "length_constraints:number_sentences": wording.number_sentences,
    "length_constraints:number_paragraphs": layout.number_paragraphs,
    "length_constraints:number_words": wording.number_words,
    "length_constraints:nth_paragraph_first_word": layout.nth_paragraph_first_word,
    "detectable_content:number_placeholders": layout.number_placeholders,
    "detectable_content:postscript": layout.postscript,
    "detectable_format:number_bullet_lists": layout.number_bullet_lists,
    "detectable_format:constrained_response": layout.constrained_response,
    "detectable_format:number_highlighted_sections": layout.number_highlighted_sections,
    "detectable_format:multiple_sections": layout.multiple_sections,
    "detectable_format:json_format": layout.json_format,
    "detectable_format:title": layout.title,
    "combination:two_responses": layout.two_responses,
    "combination:repeat_prompt": layout.repeat_prompt,
    "startend:end_checker": layout.end_checker,
    "startend:quotation": layout.quotation,
    "change_case:capital_word_frequency": wording.capital_word_frequency,
    "change_case:english_capital": wording.english_capital,
    "change_case:english_lowercase": wording.english_lowercase,
    "punctuation:no_comma": wording.no_comma,
}


@dataclass(frozen=True, slots=True)
class NamedCheck:
    """One instruction of a prompt, ready to be checked."""

    id: str
    check: Check


def instructions_of(reference: str, metadata: Mapping[str, Any]) -> list[NamedCheck]:
    """The instructions in the reference or, where that is empty, in the metadata. Raises Undecidable."""
    row: Any = metadata
    if reference.strip():
        try:
            row = json.loads(reference)
        except (ValueError, RecursionError):
            raise Undecidable("bad_reference: not JSON") from None
    if not isinstance(row, Mapping) or "instruction_id_list" not in row:
        raise Undecidable("bad_reference: instruction_id_list is missing")
    ids, kwargs = row["instruction_id_list"], row.get("kwargs")
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise Undecidable("bad_reference: instruction_id_list must be a list of ids")
    kwargs = [{} for _ in ids] if kwargs is None else kwargs
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise Undecidable("bad_reference: kwargs must be a list as long as instruction_id_list")
    return [_instruction(name, given) for name, given in zip(ids, kwargs, strict=True)]


def _instruction(name: str, given: Any) -> NamedCheck:
    if name not in CHECKS:
        raise Undecidable(f"bad_reference: unknown instruction {name[:80]!r}")
    if given is not None and not isinstance(given, Mapping):
        raise Undecidable(f"bad_reference: the arguments of {name} must be an object")
    return NamedCheck(name, CHECKS[name](Arguments(name, given or {})))
