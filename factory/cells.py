"""The cells of one row of a trace set, with a message that names place and column for whatever is not as it should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracemill.core.errors import InputError
from tracemill.factory.sources import cell_text

COMMAND = "--column"
"""In place of a recipe's field, where an option of a command maps columns."""


@dataclass(frozen=True, slots=True)
class Cells:
    """One row, where it stands, and the field of the recipe that maps its columns; "" where none does."""

    row: Mapping[str, Any]
    place: str
    where: str

    def get(self, field: str, column: str) -> Any:
        """The cell of a column, or of a field within one."""
        if column in self.row:
            return self.row[column]
        head, dot, rest = column.partition(".")
        if dot and head in self.row:
            return self._within(self.row[head], rest, field, column)
        raise self._missing(field, column, self.row)

    def _within(self, value: Any, name: str, field: str, column: str) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [self._within(one, name, field, column) for one in value]
        if isinstance(value, Mapping) and name in value:
            return value[name]
        head, dot, rest = name.partition(".")
        if isinstance(value, Mapping) and dot and head in value:
            return self._within(value[head], rest, field, column)
        raise self._missing(field, column, value if isinstance(value, Mapping) else {})

    def _missing(self, field: str, column: str, near: Mapping[str, Any]) -> InputError:
        none = ", to null where there are no gold answers" if field == "reference" else ""
        if self.where == COMMAND:
            none = ", or --column reference= where there are no gold answers" if field == "reference" else ""
            remedy = f"; name it: --column {field}=COLUMN{none}"
        else:
            remedy = f"; set {self.where}.columns.{field}{none}" if self.where else "; is it this layout?"
        return InputError(f"{self.place}: no column {column!r} (there are: {', '.join(map(str, near))}){remedy}")

    def text(self, column: str) -> str:
        """The question. Raises InputError where it is empty, or no text."""
        value = self.get("text", column)
        if isinstance(value, list | Mapping):
            raise InputError(f"{self.place}: column {column!r} must be text, this is {type(value).__name__}")
        if not (found := cell_text(value)):
            raise InputError(f"{self.place}: column {column!r} is empty")
        return found

    def aligned(self, field: str, column: str | None, count: int) -> list[Any]:
        """One value for each completion: those of a list, or the same for all."""
        value = None if column is None else self.get(field, column)
        if not isinstance(value, list):
            return [value] * count
        if len(value) != count:
            raise InputError(f"{self.place}: column {column!r} has {len(value)} values for {count} completions")
        return value

    def as_text(self, field: str, column: str | None, value: Any) -> str | None:
        """The value, which must be text or null."""
        if value is None or isinstance(value, str):
            return value
        hint = f" (a field of it is named {column}.NAME)" if isinstance(value, Mapping) else ""
        raise InputError(f"{self.place}: {field} {column!r} must be text, this is {type(value).__name__}{hint}")

    def as_count(self, field: str, column: str | None, value: Any) -> int | None:
        """The value, which must be a whole number of tokens or null."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
            raise InputError(f"{self.place}: {field} {column!r} must be a whole number, this is {value!r}")
        return int(value)
