"""What every part of a recipe is: frozen, strict about its keys, with one clear message for an unknown one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tracemill.core.errors import nearest


class Section(BaseModel):
    """A part of a recipe: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    hint = nearest(str(key), cls.model_fields).replace("{", "{{").replace("}", "}}")
                    raise PydanticCustomError("unknown_key", f"unknown key {str(key)!r}{hint}")
        return data


def short_form(data: Any) -> Any:
    """`name` alone, or `name: {option: value}`, as the section has it."""
    if isinstance(data, str):
        return {"name": data}
    if isinstance(data, Mapping) and "name" not in data and len(data) == 1:
        (name, options) = next(iter(data.items()))
        return {"name": str(name), "options": options or {}}
    return data
