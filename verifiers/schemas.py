"""Reads JSON strictly and checks it against a JSON Schema. Runs in a worker process only.

Strict: a name twice in one object, NaN and Infinity are errors. Numbers are exact (fractions, and integers where 1.0 is
written), so that 0.3 is a multiple of 0.1. References to other documents are never fetched: a schema that needs one is
a bad reference. `format` is an annotation, as the specification has it, and is not checked. Patterns are read as ECMA's
(`patterns`). What would silently accept everything is a bad reference too: a keyword that the dialect does not know
(`x-…` aside), and an object without any keyword that checks something.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tracemill.verifiers.patterns import NotTranslated, python_pattern
from tracemill.verifiers.verdicts import Undecidable

LARGEST_NUMBER = 400
"""Most digits of an integer, and the largest power of ten."""
LONGEST_REASON = 160

_FENCE = re.compile(r"[ \t]*(```+|~~~+)[ \t]*(\w*)[ \t]*")
_WRAPPER = {"schema", "value"}
_MEANT = 'did you mean {"value": …}?'


class NotJson(Exception):
    """The text holds no JSON value, or more than one; the message is the reason's code."""


def warm() -> None:
    """Import the validator with its meta-schemas."""
    import jsonschema

    jsonschema.Draft202012Validator.check_schema({})


def check(reference: str) -> bool:
    """True for a reference that can be used. Raises Undecidable (`bad_reference`)."""
    _reference(reference)
    return True


def judge(reference: str, text: str) -> tuple[str, str]:
    """Outcome value and reason of an answer's text. Raises Undecidable."""
    validator, wanted = _reference(reference)
    try:
        value = value_of(text)
    except NotJson as error:
        return "unparsed", str(error)
    except RecursionError:
        raise Undecidable("too_deep") from None
    try:
        first = next(iter(validator.iter_errors(value)), None) if validator is not None else None
        if first is not None:
            where = re.sub(r"\s+", " ", f"{first.json_path}: {first.validator}")[:LONGEST_REASON]
            return "wrong", f"schema: {where}"
        if wanted and not _equal(value, wanted[0]):
            return "wrong", "value: different"
    except RecursionError:
        raise Undecidable("too_deep") from None
    return "correct", "valid"


def value_of(text: str) -> Any:
    """The one JSON value that is the whole text, or all of its only fenced block. Raises NotJson, RecursionError."""
    blocks = _blocks(text)
    if not blocks:
        return _strict(text)
    if len(blocks) > 1:
        raise NotJson("several_documents")
    return _strict(blocks[0])


def _blocks(text: str) -> list[str]:
    """What the closed fences hold that are for JSON or name no language."""
    found: list[str] = []
    mark, language, held = "", "", list[str]()
    for line in text.split("\n"):
        match = _FENCE.fullmatch(line.rstrip("\r"))
        if match and not mark:
            mark, language, held = match[1], match[2].lower(), []
        elif match and match[1] == mark and not match[2]:
            if language in ("", "json", "jsonc", "json5"):
                found.append("\n".join(held))
            mark = ""
        else:
            held.append(line)
    return found


def _strict(text: str) -> Any:
    decoder = json.JSONDecoder(
        object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_constant
    )
    bare = text.strip(" \t\r\n\ufeff")
    if not bare:
        raise NotJson("no_answer")
    try:
        value, end = decoder.raw_decode(bare)
    except ValueError:
        raise NotJson("not_json") from None
    rest = bare[end:].strip()
    if rest:
        try:
            decoder.raw_decode(rest.lstrip(", \t\r\n"))
        except (ValueError, NotJson):
            raise NotJson("trailing_text") from None
        raise NotJson("several_documents")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotJson("duplicate_key")
    return made


def _constant(_: str) -> Any:
    raise NotJson("not_json")


def _number(text: str) -> int | Fraction:
    try:
        number = Decimal(text)
    except ArithmeticError:
        raise Undecidable("number_too_large") from None
    if number and (abs(number.adjusted()) > LARGEST_NUMBER or len(text) > LARGEST_NUMBER):
        raise Undecidable("number_too_large")
    exact = Fraction(number) if number else Fraction(0)
    return int(exact) if exact.denominator == 1 else exact


@lru_cache(maxsize=256)
def _reference(text: str) -> tuple[Any, tuple[Any, ...]]:
    """The validator (None without a schema) and the value wanted, if there is one. Raises Undecidable."""
    try:
        given = _strict(text)
        validator = None
        if isinstance(given, dict) and given and set(given) <= _WRAPPER:
            wanted = (given["value"],) if "value" in given else ()
            if "schema" in given:
                validator = _validator(given["schema"])
        else:
            wanted, validator = (), _validator(given)
    except NotJson as error:
        raise Undecidable(f"bad_reference: {error}") from None
    except RecursionError:
        raise Undecidable("bad_reference: too_deep") from None
    except Undecidable as error:
        code = error.reason
        raise Undecidable(code if code.startswith("bad_reference") else f"bad_reference: {code}") from None
    return validator, wanted


def _validator(schema: Any) -> Any:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    if not isinstance(schema, dict | bool):
        raise Undecidable("bad_reference: a schema is an object, true or false")
    dialect: Any = Draft202012Validator
    if isinstance(schema, dict) and "$schema" in schema:
        dialect = validator_for(schema, default=None)  # type: ignore[arg-type]
        if dialect is None:
            raise Undecidable("bad_reference: unknown $schema")
    try:
        dialect.check_schema(schema)
    except SchemaError as error:
        where = re.sub(r"\s+", " ", f"{error.json_path}: {error.validator}")[:LONGEST_REASON]
        raise Undecidable(f"bad_reference: not a schema at {where}") from None
    if isinstance(schema, dict) and schema:
        keywords = _keywords(dialect)
        if not set(schema) & (dialect.VALIDATORS.keys() - {"format"}) and set(schema) <= keywords:
            raise Undecidable(f"bad_reference: a schema that accepts everything: {_MEANT}")
        _prepare(schema, dialect, keywords, REGISTRY)
    return dialect(schema, registry=REGISTRY)  # without one jsonschema fetches references over the network


def _keywords(dialect: Any) -> frozenset[str]:
    """What the dialect's meta-schema and its vocabularies name, but for keywords that no longer have an effect."""
    from jsonschema_specifications import REGISTRY

    known: set[str] = set()
    resolver = REGISTRY.resolver(dialect.ID_OF(dialect.META_SCHEMA))
    for part in [dialect.META_SCHEMA, *dialect.META_SCHEMA.get("allOf", ())]:
        known |= (resolver.lookup(part["$ref"]).contents if "$ref" in part else part)["properties"].keys()
    return frozenset(
        known - ({"dependencies", "$recursiveRef"} - dialect.VALIDATORS.keys()) | dialect.VALIDATORS.keys()
    )


def _prepare(schema: Any, dialect: Any, keywords: frozenset[str], registry: Any) -> None:
    """Translate the patterns of all subschemas in place.

    Raises Undecidable for a keyword that the dialect does not know, and where a reference leads to no schema at hand.
    """
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, specification_with

    specification = specification_with(dialect.META_SCHEMA["$schema"], default=DRAFT202012)
    resource = specification.create_resource(schema)
    for resolver, part in _subschemas(resource, registry.resolver_with_root(resource)):
        if not isinstance(part, dict):
            continue
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(part.get(keyword), str):
                try:
                    resolver.lookup(part[keyword])
                except (Unresolvable, ValueError):
                    raise Undecidable(f"bad_reference: cannot resolve {part[keyword][:LONGEST_REASON]!r}") from None
        for keyword in part:
            if keyword not in keywords and not keyword.startswith("x-"):
                draft = dialect.__name__.removesuffix("Validator")
                raise Undecidable(f"bad_reference: unknown keyword {keyword[:50]!r} in {draft}: {_MEANT}")
        _translate(part)


def _translate(part: dict[str, Any]) -> None:
    try:
        if isinstance(part.get("pattern"), str):
            part["pattern"] = _compiling(part["pattern"])
        if isinstance(part.get("patternProperties"), dict):
            translated = {_compiling(name): one for name, one in part["patternProperties"].items()}
            part["patternProperties"] = translated
    except (re.error, NotTranslated, OverflowError) as error:
        line = " ".join(str(error).split())[:LONGEST_REASON]
        raise Undecidable(f"bad_reference: a pattern that cannot be read: {line}") from None


def _compiling(pattern: str) -> str:
    translated = python_pattern(pattern)
    with warnings.catch_warnings(action="ignore"):  # "possible nested set" is no fault
        re.compile(translated)
    return translated


def _subschemas(resource: Any, resolver: Any) -> Iterator[tuple[Any, Any]]:
    yield resolver, resource.contents
    for part in resource.subresources():
        yield from _subschemas(part, resolver.in_subresource(part))


def _equal(one: Any, two: Any) -> bool:
    """JSON equality: 1 is 1.0, true is not 1, the order of names does not matter."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_equal(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_equal, one, two))
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)
