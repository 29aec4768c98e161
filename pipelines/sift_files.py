"""Sifts traces that lie in files: what is kept goes to one file and what is dropped, with its reason, to another.

Rows are written as they were read, with a column more: `sift_row`, the id by which details name a trace. Dropped rows
have `drop_filter`, `drop_reason` and `drop_detail` besides. A row of several completions becomes one row for each, with
its lists cut to that one. The files are read once for the filters, once for each sieve and once to write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracemill.core.errors import InputError
from tracemill.core.types import Drop, Item
from tracemill.filters.privacy import masked_text, told_of_masked
from tracemill.pipelines.policy import Policy
from tracemill.pipelines.row_files import Row, schema_of_parquet, schema_of_rows, writing
from tracemill.pipelines.sifting import Look, Traces, drops_of
from tracemill.pipelines.traces_of_files import Files, Unit

if TYPE_CHECKING:
    import pyarrow as pa

ROW, FILTER, REASON, DETAIL = "sift_row", "drop_filter", "drop_reason", "drop_detail"
SAID = (FILTER, REASON, DETAIL)
READING = "reading"
"""In place of a filter's name: the completion could not be read as a trace."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one completion."""

    unit: Unit
    drop: Drop | None

    @property
    def row(self) -> Row:
        """As it is written."""
        row = {name: cell for name, cell in self.unit.row.items() if name not in SAID} | {ROW: self.unit.id}
        if self.drop is not None:
            row |= {FILTER: self.drop.filter, REASON: self.drop.reason, DETAIL: self.drop.detail}
        return row

    def masked(self, files: Files, kinds: Collection[str]) -> Fate:
        """With personal data of these kinds masked in all of the row, and in what is said of it."""

        def mask(text: str) -> str:
            return masked_text(text, self.unit.prompt, kinds)

        row = files.edited(self.unit.row, mask)
        drop = told_of_masked(self.drop) if self.drop is not None and row != self.unit.row else self.drop
        return Fate(replace(self.unit, row=row), drop)


def sift_files(
    files: Files,
    policy: Policy,
    look: Look = lambda stage, count: None,
    workers: int | None = None,
    address: str | None = None,
) -> dict[str, Drop]:
    """The drops by trace id. Writes nothing. Raises InputError for a row that cannot be read."""
    files.check_unchanged()
    rates = files.rates()

    def rated(item: Item) -> Item:
        return replace(item, rate=rates.get((item.prompt.id, item.trace.model)))

    return drops_of(Traces(files.rows, files.items, rated), policy.filters, policy.sieves, look, workers, address)


def fates(files: Files, drops: Mapping[str, Drop], masks: Collection[str] = ()) -> Iterator[Fate]:
    """Every completion of the files, in their order, those that could not be read among the dropped ones.

    Personal data of the kinds `masks` are masked, in dropped ones too. Raises InputError where the files have changed
    since `sift_files` looked at them.
    """
    for unit in (unit for row in files.rows() for unit in files.units(row)):
        unread = Drop(unit.id, READING, "", "no_trace", unit.passed_over) if unit.item is None else None
        fate = Fate(unit, unread or drops.get(unit.id))
        yield fate.masked(files, masks) if masks else fate
    files.check_unchanged()


@contextmanager
def outputs(files: Files, kept: Path, dropped: Path) -> Iterator[Callable[[Fate], None]]:
    """What writes a fate to the file where it belongs. Both files appear whole at the end of the block.

    Raises InputError for a file name that cannot be, and SetupError where a file cannot be written: at once.
    """
    taken = {path.resolve() for path in files.paths}
    for option, path in (("--kept", kept), ("--dropped", dropped)):
        if taken & {path.resolve(), *path.resolve().parents}:
            raise InputError(f"{option}: {path} is what is read, or is written already; name another file")
        taken.add(path.resolve())
    known = schema_of(files) if ".parquet" in (kept.suffix, dropped.suffix) else None
    with (
        writing(kept, "--kept", known, (ROW,), without=SAID) as keep,
        writing(dropped, "--dropped", known, (ROW, *SAID)) as drop,
    ):
        yield lambda fate: (keep if fate.drop is None else drop).write(fate.row)


def schema_of(files: Files) -> pa.Schema:
    """The columns of the files: of Parquet its own, of others what a pass over all rows shows. Raises InputError."""
    if all(path.suffix == ".parquet" for path in files.files()):
        return schema_of_parquet(files.files())
    return schema_of_rows((row.cells for row in files.rows()), files.paths[0])
