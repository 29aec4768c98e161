"""Is the answer one JSON value that the reference's JSON Schema accepts?

The reference is a JSON Schema, or {"schema": …, "value": …} with either or both: the value must then be equal as JSON
(1 is 1.0, the order of names does not matter). A plain value as the reference, {"answer": 42}, is a bad one: it must be
wrapped, {"value": {"answer": 42}}. The answer is the whole text between the answer tags, or all of its
only fenced block (```json or ```), around which prose may stand. UNPARSED: `not_json` (NaN and Infinity are not
JSON), `duplicate_key`, `trailing_text`, `several_documents`. `schemas` says how numbers, `$ref` and `format` are read.
All of it runs in a process that is killed at its deadline: deep nesting and patterns may take for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers import schemas
from tracemill.verifiers.extraction import tagged, takes_back
from tracemill.verifiers.verdicts import Undecidable, verdict
from tracemill.verifiers.worker import Pool

LONGEST = 1_000_000
"""Longest reference or answer (characters) that is read."""
EXTRACTED = 2000
"""Longest part of the answer that is kept in the verdict."""

_pool = Pool(warm=schemas.warm)


@dataclass(frozen=True, slots=True)
class Json:
    """Judges the answer by the schema, the value or both in `Prompt.reference`."""

    seconds: float = 2.0
    """Time limit of one verdict; past it the verdict is UNDECIDED `time_limit`."""

    name: ClassVar[str] = "json"
    version: ClassVar[str] = "2"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's answer. Raises Undecidable."""
        if not prompt.reference.strip() or len(prompt.reference) > LONGEST:
            raise Undecidable("bad_reference: " + ("too long" if prompt.reference.strip() else "no schema"))
        _check(prompt.reference, self.seconds)
        text = tagged(trace.answer).strip()
        if not text:
            return verdict(self, trace, Outcome.UNPARSED, "no_answer")
        if takes_back(trace.answer):
            return verdict(self, trace, Outcome.UNPARSED, "several_answers")
        if len(text) > LONGEST:
            raise Undecidable("too_long")
        outcome, reason = _pool.call(schemas.judge, prompt.reference, text, seconds=self.seconds)
        return verdict(self, trace, Outcome(outcome), reason, text[:EXTRACTED])


@lru_cache(maxsize=1024)
def _check(reference: str, seconds: float) -> bool:
    """Raises Undecidable for a reference that is no schema."""
    return bool(_pool.call(schemas.check, reference, seconds=seconds))


plugin = Json()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
_AGE = '{"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}'
_SLOW = '{"type": "string", "pattern": "^(a+)+$"}'
EXAMPLES = (
    VerifierExample('{"age": 5}', _AGE, R, "right: an object"),
    VerifierExample('Here it is:\n```json\n{"age": 5.0}\n```\nDone.', _AGE, R, "right: fenced, and 5.0 is an integer"),
    VerifierExample('{"b": 1.0, "a": [true]}', '{"value": {"a": [true], "b": 1}}', R, "right: equal as JSON"),
    VerifierExample("0.3", '{"multipleOf": 0.1}', R, "right: decimals are exact"),
    VerifierExample('{"age": -5}', _AGE, W, "wrong: below the minimum"),
    VerifierExample('{"a": 1}', '{"value": {"a": true}}', W, "wrong: 1 is not true"),
    VerifierExample('{"age": 5} and so on', _AGE, N, "adversarial: text after the value"),
    VerifierExample('{"age": -5, "age": 5}', _AGE, N, "adversarial: a name twice"),
    VerifierExample('{"age": NaN}', _AGE, N, "adversarial: NaN"),
    VerifierExample('{"age": 5}\n{"age": 6}', _AGE, N, "adversarial: two documents"),
    VerifierExample('"' + "a" * 60 + '!"', _SLOW, U, "adversarial: a pattern that backtracks for ever"),
    VerifierExample("[" * 100_000 + "]" * 100_000, "true", U, "adversarial: nested too deep"),
    VerifierExample("5", '{"$ref": "https://example.com/schema.json"}', U, "adversarial: a schema elsewhere"),
    VerifierExample("5", '{"type": "number of things"}', U, "adversarial: an invalid schema"),
    VerifierExample('{"answer": 1}', '{"answer": 42}', U, "adversarial: a value where a schema is meant"),
    VerifierExample('"12\\n"', '{"type": "string", "pattern": "^[0-9]+$"}', W, "adversarial: $ is no line break's"),
)
