"""Options by name, as recipes give them, into the frozen dataclass that takes them; one clear line for each mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from tracemill.core.errors import InputError, nearest

T = TypeVar("T")


def configured(
    kind: type[T],
    options: Mapping[str, Any],
    where: str,
    name: str,
    given: Mapping[str, Any] = MappingProxyType({}),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> T:
    """An instance of the dataclass with these options. Raises InputError for an unknown name or a bad value.

    `where` is the recipe's field that holds them, `name` what has them; `given` are fields that are no options.
    """
    from pydantic import TypeAdapter, ValidationError  # not needed where all options keep their defaults

    fields = [field.name for field in dataclasses.fields(kind) if field.init and field.name not in given]  # type: ignore[arg-type]
    for option in options:
        if option not in fields:
            raise InputError(f"{where}.{option}: {name!r} has no such option{nearest(option, fields)}")
    try:
        return TypeAdapter(kind).validate_python({**defaults, **given, **options})
    except InputError as error:  # the class's own check; it names the option
        raise InputError(f"{where}.{error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        got = "" if first["type"] == "missing" else f", got {first['input']!r}"
        raise InputError(f"{where}.{place}: {plainly(first['type'], first['msg'])}{got}") from error


def plainly(kind: str, message: str) -> str:
    """Pydantic's message in the words of who writes YAML."""
    words = {
        "tuple_type": "must be a list, [a, b]",
        "list_type": "must be a list, [a, b]",
        "dict_type": "must be a mapping, {key: value}",
        "model_type": "must be a mapping, {key: value}",
        "missing": "is required",
    }
    return words.get(kind, message)
