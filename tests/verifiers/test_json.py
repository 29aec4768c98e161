"""JSON is read strictly and exactly, schemas stay on this machine, and what hangs is killed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
A = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false}'
TREE = '{"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"x": {"$ref": "#/$defs/t"}}, "maxProperties": 1}}}'


def _judge(answer: str, reference: str) -> tuple[Outcome, str]:
    verdict = tracemill.verify("json", answer, reference)
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ('{"a": 1}', A), ('{"a": 1.0}', A), ('\n\t{"a":1}\n', A), ('\ufeff{"a":1}', A), ('```json\n{"a": 1}\n```', A),
        ('```\n{"a": 1}\n```', A), ('Here:\n\n```JSON\n{"a": 1}\n```\nThat is all.', A), ('~~~json\n{"a": 1}\n~~~', A),
        ('```python\nprint(1)\n```\n```json\n{"a": 1}\n```', A), ('<answer>{"a": 1}</answer>', A), ("null", "true"),
        ('{"x": {"x": {}}}', TREE), ("0.3", '{"multipleOf": 0.1}'), ("1e300", '{"multipleOf": 1e299}'), ("[]", "{}"),
        ('{"value": 1}', '{"value": {"value": 1}}'), ("[1, 2.0]", '{"value": [1.0, 2]}'), ("0.1", '{"enum": [0.10]}'),
        ('{"a": 1}', '{"schema": {"type": "object"}, "value": {"a": 1}}'), ('"\\ud83d\\ude00"', '{"maxLength": 1}'),
        ("1", '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}'), ("-0", '{"value": 0}'),
        ("1", '{"$id": "https://a.example/c", "$ref": "d", "$defs": {"d": {"$id": "d", "type": "integer"}}}'),
        ('{"type": "string"}', '{"$ref": "https://json-schema.org/draft/2020-12/schema"}'),
        ('{"$ref": 5}', '{"properties": {"$ref": {"type": "integer"}}}'), ('{"$ref": "x"}', '{"const": {"$ref": "x"}}'),
        ("1", '{"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}, "definitions": {}}'),
        ("1", '{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://a.example/b", "type": "integer"}'),
        ("1", '{"x-own": 1, "title": "T", "default": 3, "examples": [1], "deprecated": true, "type": "integer"}'),
        ('{"pattern": "x$"}', '{"const": {"pattern": "x$"}}'),
        ('"2024-13-45"', '{"type": "string", "format": "date"}'), ('{"a": "```"}', '{"type": "object"}'),
    ],
)  # fmt: skip
def test_valid(answer: str, reference: str) -> None:
    assert _judge(answer, reference) == (R, "valid")


@pytest.mark.parametrize(
    ("answer", "reference", "outcome", "reason"),
    [
        ('{"a": "1"}', A, W, "schema: $.a: type"),
        ('{"a": 1.5}', A, W, "schema: $.a: type"),
        ("{}", A, W, "schema: $: required"),
        ("[1]", '{"value": [true]}', W, "value: different"),
        ("0", '{"value": false}', W, "value: different"),
        ("[1, 2]", '{"value": [2, 1]}', W, "value: different"),
        ("0.30000000000000004", '{"value": 0.3}', W, "value: different"),
        ("1", "false", W, "schema: $: None"),
        ("", A, N, "no_answer"),
        ("```json\n\n```", A, N, "no_answer"),
        ("{'a': 1}", A, N, "not_json"),
        ('{"a": 1,}', A, N, "not_json"),
        ('{"a": NaN}', A, N, "not_json"),
        ('{"a": -Infinity}', A, N, "not_json"),
        ('```json\n{"a": 1}', A, N, "not_json"),
        ('Sure! {"a": 1}', A, N, "not_json"),
        ('"a\nb"', A, N, "not_json"),
        ('{"a": 1} // a', A, N, "trailing_text"),
        ('{"a": 1}}', A, N, "trailing_text"),
        ('{"a": 1, "a": 1}', A, N, "duplicate_key"),
        ('[{"b": {"a": 1, "\\u0061": 2}}]', A, N, "duplicate_key"),
        ('{"a": 1}{"a": 2}', A, N, "several_documents"),
        ('{"a": 1}, {"a": 2}', A, N, "several_documents"),
        ('```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```', A, N, "several_documents"),
        ('<answer>{"a": 1}</answer> no, 2', A, N, "several_answers"),
        ("1e99999999999", A, U, "number_too_large"),
        ("9" * 500, A, U, "number_too_large"),
        ("[" * 100_000, A, U, "too_deep"),
        ('{"x":' * 5000 + "1" + "}" * 5000, TREE, U, "too_deep"),
        ('"' + "a" * 60 + '!"', '{"pattern": "^(a+)+$"}', U, "time_limit"),
        ("1", '{"$ref": "#"}', U, "too_deep"),
        ('"12\\n"', '{"pattern": "^[0-9]+$"}', W, "schema: $: pattern"),
        ('"١٢"', r'{"pattern": "^\\d+$"}', W, "schema: $: pattern"),
        (
            '{"a": "1\\n"}',
            '{"$ref": "#/$defs/q", "$defs": {"q": {"items": {}, "properties": {"a": {"pattern": "1$"}}}}}',
            W,
            "schema: $.a: pattern",
        ),
        (
            '{"1\\n": 5}',
            '{"patternProperties": {"^1$": {}}, "additionalProperties": false}',
            W,
            "schema: $: additionalProperties",
        ),
    ],
)
def test_not_valid(answer: str, reference: str, outcome: Outcome, reason: str) -> None:
    assert _judge(answer, reference) == (outcome, reason)


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ("[]", "a schema is an object"),
        ("12", "a schema is an object"),
        ("{", "not_json"),
        ("{} {}", "several_documents"),
        ('{"type": "a", "type": "b"}', "duplicate_key"),
        ('{"type": "strin"}', "not a schema at $.type"),
        ('{"minLength": -1}', "not a schema at $.minLength"),
        ('{"pattern": "("}', "not a schema at $.pattern"),
        ('{"schema": {"type": 5}}', "not a schema"),
        ('{"$schema": "https://example.com/mine"}', "unknown $schema"),
        ('{"$ref": "https://example.com/s.json"}', "cannot resolve"),
        ('{"$ref": "file:///etc/passwd"}', "cannot resolve"),
        ('{"properties": {"a": {"items": {"$ref": "#/$defs/none"}}}}', "cannot resolve"),
        ('{"$dynamicRef": "#none"}', "cannot resolve"),
        ('{"maximum": 1e99999}', "number_too_large"),
        ('{"answer": 42}', "unknown keyword 'answer' in Draft202012: did you mean {\"value\": …}?"),
        ('{"name": "Ann", "age": 5}', "unknown keyword 'name'"),
        ('{"value": 1, "schema": {"type": "integer"}, "extra": 1}', "unknown keyword"),
        ('{"typ": "object"}', "unknown keyword 'typ'"),
        ('{"type": "object", "requried": ["a"]}', "unknown keyword 'requried'"),
        ('{"properties": {"a": {"minimun": 5}}}', "unknown keyword 'minimun'"),
        ('{"type": "object", "dependencies": {"a": ["b"]}}', "unknown keyword 'dependencies'"),
        ('{"title": "Dune", "description": "A novel"}', "a schema that accepts everything"),
        ('{"format": "date"}', "a schema that accepts everything"),
        ('{"pattern": "(?m)^a$"}', "a pattern that cannot be read: the flags (?m)"),
        ('{"not":' * 50_000 + "{}" + "}" * 50_000, "too_deep"),
    ],
)
@pytest.mark.parametrize("answer", ["5", "", "{'"])
def test_a_bad_schema_is_found_whatever_the_answer_says(reference: str, detail: str, answer: str) -> None:
    outcome, reason = _judge(answer, reference)
    assert outcome is U
    assert reason.startswith(f"bad_reference: {detail}")


def test_no_schema_is_no_reference() -> None:
    assert _judge("5", " ") == (U, "no_reference: no schema")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60)
@given(value=VALUES, data=st.data())
def test_a_value_equals_itself_in_every_layout(value: Any, data: st.DataObject) -> None:
    reference = json.dumps({"value": value})
    text = json.dumps(
        value, indent=data.draw(st.sampled_from([None, 2])), ensure_ascii=data.draw(st.booleans()), sort_keys=True
    )
    if any(mark in text for mark in ("<answer>", "</think>", "<think>")) or any(
        "\ud800" <= char <= "\udfff" for char in text
    ):
        return
    assert _judge(text, reference) == (R, "valid")
    assert _judge(f"Here:\n```json\n{text}\n```", reference) == (R, "valid")
    assert _judge(json.dumps([value]), reference) == (W, "value: different")
