"""Answers of a megabyte: each verifier says something of them, and nothing wrong. What hangs here, hangs a job."""

from __future__ import annotations

import pytest

import tracemill
from tracemill.core.types import Outcome

REFERENCES = {
    "choice": "J",
    "exact": "Paris",
    "numeric": "987",
    "regex": "(x|z)+y",
    "json": '{"type": "object", "required": ["name"]}',
    "instruction": '{"instruction_id_list": ["startend:end_checker"], "kwargs": [{"end_phrase": "The end."}]}',
}
PARTS = ("answer is 1 ", "1 ", "A) x\n", "{", "_", "```\n", "Word. ", "e\u0301")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", REFERENCES)
def test_a_megabyte_is_judged(name: str, part: str) -> None:
    text = part * (2**20 // len(part))
    for answer in (text[:490_000], text[:99_000], f"The answer is {text}"):
        verdict = tracemill.verify(name, answer, REFERENCES[name], "How many?", {})
        assert verdict.outcome is not Outcome.CORRECT
        assert not verdict.reason.startswith(("error", "bad_reference", "worker_died")), verdict
