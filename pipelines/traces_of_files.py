"""Traces in files: rows as they are read, the traces that they hold, and rows again for what is written.

A row may hold several completions (OpenR1-Math's `generations`); each is a trace of its own. A trace's id is the number
of its row over all files, from 1, and for the second completion of a row that number and `.2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.types import Completion, Item, Prompt, Rate, Request, Sampling
from tracemill.factory.cells import COMMAND, Cells
from tracemill.factory.chat import COLUMNS
from tracemill.factory.layouts import ColumnLayout, Common, Layout, Recorded
from tracemill.factory.recording import LAYOUTS, file_rows
from tracemill.factory.thinking import ThinkFormat

Cell = Any
PER_COMPLETION = ("completion", "reasoning", "model", "prompt_tokens", "completion_tokens", "finish_reason")
"""Fields of a column map that may name a list with one value a completion."""
_RIGHT = {
    **dict.fromkeys(("true", "correct", "1", "1.0"), True),
    **dict.fromkeys(("false", "wrong", "0", "0.0"), False),
}
_CHARS_A_TOKEN = 4
_REFERENCES = frozenset({"reference", "ground_truth_solution", "test_cases"})
"""Columns of the layouts of fixed names that hold references."""


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row, where it stands, and its number over all files."""

    number: int
    source: str
    """Name of the file."""
    place: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Unit:
    """One completion of a row: a trace, or a reason why it is none."""

    id: str
    row: Mapping[str, Cell]
    """The row with this completion alone in its lists."""
    prompt: Prompt
    item: Item | None
    passed_over: str = ""


@dataclass(frozen=True)
class Files:
    """Files of traces and how their rows are read. Picklable: the processes that filter read rows by it."""

    paths: tuple[Path, ...]
    layout: Layout | None = None
    """None: by the columns of the first row."""
    split: str = "train"
    thinking: str = "native"
    domain: str | None = None
    model: str | None = None
    correct: str | None = None
    """Column that says of each completion whether it is right."""
    limit: int | None = None

    def rows(self) -> Iterator[PlacedRow]:
        """All rows in their order. Raises InputError for the first that cannot be read."""
        found = ((path, *row) for path in self.paths for row in file_rows(path, self.split, "sift"))
        for number, (path, place, cells) in enumerate(islice(found, self.limit), 1):
            yield PlacedRow(number, path.name, place, cells)

    @cached_property
    def _layout(self) -> Layout:
        first = next(self.rows(), None)
        if first is None:
            return self.layout or LAYOUTS["columns"]
        found = self.layout or _guessed(first.cells)
        if isinstance(found, ColumnLayout) and not found.fixed and found.reference == ColumnLayout().reference:
            # Unset: gold answers are no must here, and no column is the answer and the reference at once.
            is_gold = found.reference in first.cells.keys() - {found.completion, found.reasoning}
            return found if is_gold else replace(found, reference=None)
        return found

    def rates(self) -> dict[tuple[str, str], Rate]:
        """By prompt id and model, from a pass of its own over the rows; empty where no column tells."""
        counts: dict[tuple[str, str], list[int]] = {}
        for row in self.rows() if self.correct is not None else ():
            for item, is_right in self._labelled(row):
                count = counts.setdefault((item.prompt.id, item.trace.model), [0, 0])
                count[0] += is_right is True
                count[1] += is_right is not None
        return {key: Rate(*count) for key, count in counts.items()}

    def items(self, row: PlacedRow) -> Iterator[Item]:
        """The traces of a row."""
        return (unit.item for unit in self.units(row) if unit.item is not None)

    def units(self, row: PlacedRow) -> Iterator[Unit]:
        """All completions of a row, those that are no traces too."""
        common = Common(row.source, COMMAND, None, self.domain, self.model)
        try:
            read = self._layout.row(row.cells, row.place, common)
        except InputError as error:
            if row.number == 1:  # no row is as it is told
                raise
            nobody = Prompt("", "", "", "", "", row.source)
            yield Unit(str(row.number), row.cells, nobody, None, str(error))
            return
        count = len(read.completions) + len(read.passed_over)
        missing = iter(read.passed_over)
        completions = {one.at: one for one in read.completions}
        for at in range(count):
            name = f"{row.number}.{at + 1}" if at else str(row.number)
            cells = self._alone(row.cells, at, count)
            if at in completions:
                yield Unit(name, cells, read.prompt, self._item(name, at, read.prompt, completions[at]))
            else:
                yield Unit(name, cells, read.prompt, None, next(missing))

    def _item(self, name: str, at: int, prompt: Prompt, one: Recorded) -> Item:
        tokens = one.completion_tokens or len(one.text + (one.reasoning or "")) // _CHARS_A_TOKEN
        model = one.model or "unknown"
        done = Completion(name, one.text, one.prompt_tokens or 0, tokens, one.finish_reason, one.reasoning)
        asked = Request(name, prompt.text, Sampling())
        trace = ThinkFormat.named(self.thinking).trace(prompt, "sift", at, model, asked, done)
        if "no_think" in trace.faults:  # no marks at all: it is all chain
            trace = replace(trace, reasoning=one.text, answer="")
        return Item(prompt, trace)

    def _alone(self, cells: Mapping[str, Cell], at: int, count: int) -> Mapping[str, Cell]:
        layout = self._layout
        if count < 2 or not isinstance(layout, ColumnLayout):
            return cells
        named = [*(getattr(layout, field) for field in PER_COMPLETION), *layout.aligned, self.correct]
        heads = {name if name in cells else name.partition(".")[0] for name in named if name} & cells.keys()
        lists = {name: cells[name] for name in heads if isinstance(cells[name], list) and len(cells[name]) == count}
        return {**cells, **{name: [value[at]] for name, value in lists.items()}}

    def edited(self, cells: Mapping[str, Cell], edit: Callable[[str], str]) -> dict[str, Cell]:
        """A row with all its texts changed, but for the reference: a chain may stand in several columns."""
        layout = self._layout
        kept = {layout.reference} if isinstance(layout, ColumnLayout) else _REFERENCES
        return {name: cell if name in kept else mapped(cell, edit) for name, cell in cells.items()}

    def files(self) -> list[Path]:
        """The files themselves, those in folders too."""
        return [
            one
            for path in self.paths
            for one in (sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path])
        ]

    @cached_property
    def _noted(self) -> list[tuple[Path, int, int]]:
        """What the files were at the first look."""
        return self._state()

    def _state(self) -> list[tuple[Path, int, int]]:
        return [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files() if path.exists()]

    def check_unchanged(self) -> None:
        """Raises InputError where a file is not what it was when this was called first: traces are known by number."""
        before = self._noted
        if changed := [path for path, *_ in {*before} ^ {*self._state()}]:
            raise InputError(f"{changed[0]}: changed while it was sifted; run again when nobody writes to it")

    def _labelled(self, row: PlacedRow) -> Iterator[tuple[Item, bool | None]]:
        units = list(self.units(row))
        if all(unit.item is None for unit in units):
            return
        values = Cells(row.cells, row.place, COMMAND).aligned("correct", self.correct, len(units))
        for unit, value in zip(units, values, strict=True):
            if unit.item is not None:
                yield unit.item, self._is_right(value, row.place)

    def _is_right(self, value: Cell, place: str) -> bool | None:
        if value is None or (found := _RIGHT.get(str(value).strip().lower())) is not None:
            return None if value is None else found
        raise InputError(f"{place}: column {self.correct!r} must be true, false or null, this is {value!r}")


def mapped(value: Cell, edit: Callable[[str], str]) -> Cell:
    """All texts within a cell, however deep."""
    if isinstance(value, str):
        return edit(value)
    if isinstance(value, list):
        return [mapped(one, edit) for one in value]
    return {key: mapped(one, edit) for key, one in value.items()} if isinstance(value, Mapping) else value


def _guessed(cells: Mapping[str, Cell]) -> Layout:
    """The layout that has the columns of a row."""
    if {"problem", "generations", "finish_reasons"} <= cells.keys():
        return LAYOUTS["openr1_math"]
    if {"problem", "deepseek_reasoning", "deepseek_solution"} <= cells.keys():
        return LAYOUTS["openthoughts"]
    if any(name in cells for name in COLUMNS) or _is_turns(cells.get("prompt")):
        return LAYOUTS["chat"]
    return LAYOUTS["columns"]


def _is_turns(value: Cell) -> bool:
    return isinstance(value, Sequence) and bool(value) and isinstance(value[0], Mapping)
