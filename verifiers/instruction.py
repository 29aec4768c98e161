"""Does the response follow the prompt's verifiable instructions? IFEval's ids and arguments (arXiv 2311.07911).

The reference is JSON as in IFEval's rows, {"instruction_id_list": [...], "kwargs": [...]}, other names beside them
ignored; where it is empty, `Prompt.metadata` holds the two. CORRECT when all instructions hold. WRONG when one does
not: the reason names those, the score is the share that hold. UNDECIDED `unclear` when none fails, but readers would
differ about some: 99 or 101 words by how hyphens count, "war" only in "wars", two languages alike. An unknown id, an
argument that is missing or unknown is a bad reference.

What is judged is the text after the reasoning, between the answer tags where there are any. `instructions` says where
the checks differ from IFEval's own. Not covered: whether the response answers the question.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.extraction import tagged
from tracemill.verifiers.instructions.registry import instructions_of
from tracemill.verifiers.verdicts import Undecidable, verdict

LONGEST = 500_000
"""Longest response (characters) that is judged."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """Judges the response by the instructions in `Prompt.reference`."""

    name: ClassVar[str] = "instruction"
    version: ClassVar[str] = "2"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's response. Raises Undecidable."""
        instructions = instructions_of(prompt.reference, prompt.metadata)
        response = tagged(trace.answer).strip()
        if not response:
            return verdict(self, trace, Outcome.UNPARSED, "no_answer")
        if len(response) > LONGEST:
            raise Undecidable("too_long")
        results = [(one.id, one.check(response)) for one in instructions]
        failed = [name for name, held in results if held is False]
        unclear = [name for name, held in results if held is None]
        if failed:
            share = sum(held is True for _, held in results) / len(results)
            return verdict(self, trace, Outcome.WRONG, f"not_followed: {_names(failed)}", score=share)
        if unclear:
            return verdict(self, trace, Outcome.UNDECIDED, f"unclear: {_names(unclear)}")
        return verdict(self, trace, Outcome.CORRECT, "followed")


def _names(ids: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(ids))


def _row(**instructions: dict[str, object]) -> str:
    """An IFEval row; __ in a name stands for its colon."""
    ids = [name.replace("__", ":") for name in instructions]
    return json.dumps({"instruction_id_list": ids, "kwargs": list(instructions.values())})


plugin = Instruction()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
_TEN = _row(length_constraints__number_words={"num_words": 10, "relation": "less than"}, punctuation__no_comma={})
_WAR = _row(keywords__frequency={"keyword": "war", "frequency": 2, "relation": "at least"})
_BULLETS = _row(detectable_format__number_bullet_lists={"num_bullets": 2})
_DOT = _row(keywords__forbidden_words={"forbidden_words": ["a.c"]})
EXAMPLES = (
    VerifierExample("Ice cream is cold.", _TEN, R, "right: both hold"),
    VerifierExample("* one\n* two\n\n---\nDone.", _BULLETS, R, "right: a rule is no bullet point"),
    VerifierExample("I like abc.", _DOT, R, "right: a word is no regular expression"),
    VerifierExample("Ice cream, is cold.", _TEN, W, "wrong: one of two holds"),
    VerifierExample("* one\n* two\n* three", _BULLETS, W, "wrong: three bullet points"),
    VerifierExample("War! A war.", _WAR, R, "adversarial: another case"),
    VerifierExample("Software, hardware and war", _WAR, U, "adversarial: within other words"),
    VerifierExample("", _TEN, N, "adversarial: nothing, which has less than ten words"),
    VerifierExample("Cold.", '{"instruction_id_list": ["keywords:exists"]}', U, "adversarial: an unknown id"),
    VerifierExample("Cold.", _row(keywords__existence={}), U, "adversarial: a missing argument"),
    VerifierExample("Cold.", _row(startend__end_checker={"end_phrase": "***"}), U, "adversarial: an end of mere marks"),
    VerifierExample("Cold.", "", U, "adversarial: no instructions"),
)
