"""Reads the arguments of an instruction. What is missing, of another type or unknown is a bad reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracemill.verifiers.verdicts import Undecidable

Check = Callable[[str], bool | None]
"""Whether a response follows an instruction; None where it cannot be told."""
Relation = Callable[[int, int], bool]
RELATIONS: Mapping[str, Relation] = {
    "less than": lambda count, limit: count < limit,
    "at least": lambda count, limit: count >= limit,
}


class Arguments:
    """The arguments that are set; data sets that went through a table have None for all others."""

    def __init__(self, instruction: str, given: Mapping[str, Any]) -> None:
        self._instruction = instruction
        self._given = {name: value for name, value in given.items() if value is not None}

    def only(self, *names: str) -> None:
        """Raises Undecidable for an argument that this instruction does not have."""
        unknown = sorted(set(self._given) - set(names))
        if unknown:
            raise Undecidable(f"bad_reference: {self._instruction} has no argument {unknown[0][:50]!r}")

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.refuse(name, "a text")
        return value.strip()

    def texts(self, name: str) -> list[str]:
        value = self._get(name)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one.strip() for one in value):
            raise self.refuse(name, "a list of texts")
        return [one.strip() for one in value]

    def whole(self, name: str, least: int = 0) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < least:
            raise self.refuse(name, f"a whole number from {least}")
        return int(value)

    def relation(self, name: str) -> Relation:
        value = self._get(name)
        if not isinstance(value, str) or value not in RELATIONS:
            raise self.refuse(name, "'less than' or 'at least'")
        return RELATIONS[value]

    def _get(self, name: str) -> Any:
        if name not in self._given:
            raise Undecidable(f"bad_reference: {self._instruction} needs {name}")
        return self._given[name]

    def refuse(self, name: str, wanted: str) -> Undecidable:
        """The error to raise for an argument that is not what is wanted."""
        return Undecidable(f"bad_reference: {self._instruction}: {name} must be {wanted}")


def between(low: int, high: int, holds: Callable[[int], bool]) -> bool | None:
    """What all counts from `low` to `high` agree on; None where the two ends do not."""
    first, last = holds(low), holds(high)
    return first if first == last else None
