"""Cuts dataset versions from a job's traces: pass-rate window, traces for each prompt, order (rejection sampling).

The rules stand in standing.sql, which the funnel shares. A version, once written, never changes; rows that an earlier
version of the name already has give that version again. Text is not touched: `corpus.export` does that.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from tracemill.core.errors import CorpusError, InputError, NotFound, nearest
from tracemill.core.ids import canonical_json
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.views import named_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Order = Literal["shortest", "longest", "first", "random"]

_TRIES = 20
_BATCH = 10_000  # rows on the way from DuckDB to Delta at once


@dataclass(frozen=True, slots=True)
class Selection:
    """What is chosen of the correct traces that no filter dropped. Raises InputError for values out of range."""

    pass_rate: tuple[float, float] = (0.0, 1.0)
    """Least and greatest share of correct among a prompt's decided traces, both inclusive."""
    per_prompt: int | None = None
    """Most traces of one prompt; None for all."""
    order: Order = "shortest"
    """Which come first, by completion tokens or sample number."""
    seed: int = 0
    """For `random`."""
    masks: tuple[str, ...] = ()
    """Kinds of personal data that exports mask in the chains."""

    def __post_init__(self) -> None:
        low, high = self.pass_rate
        if not 0 <= low <= high <= 1:
            raise InputError(f"select.pass_rate: [{low}, {high}] is no window; give two numbers 0 ≤ low ≤ high ≤ 1")
        if self.per_prompt is not None and self.per_prompt < 1:
            raise InputError(f"select.per_prompt: {self.per_prompt} keeps nothing; give 1 or more, or leave it out")
        if self.order not in get_args(Order):
            raise InputError(f"select.order: unknown order {self.order!r}{nearest(self.order, get_args(Order))}")

    def plain(self) -> dict[str, Any]:
        """As it is stored: `masks`, which came later, only where there are some."""
        return {name: value for name, value in asdict(self).items() if name != "masks" or value}

    def values(self) -> dict[str, Any]:
        """The parameters of standing.sql."""
        low, high = self.pass_rate
        return {
            "low": low, "high": high, "per_prompt": self.per_prompt, "order": self.order, "seed": str(self.seed),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A version of a dataset and how it was cut. Version 0 has no rows and is not stored: nothing was chosen."""

    name: str
    version: int
    rows: int
    job_id: str
    policy: str
    """Id of the filter policy."""
    selection: Selection
    is_new: bool = False
    """This call wrote it."""


def select(corpus: Corpus, job_id: str, policy: str, name: str, selection: Selection) -> DatasetVersion:
    """Choose, and store the choice as the next version of `name`, unless the latest is this very choice.

    An older version with the same rows is not used again: the latest is what exports take.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"dataset: {name!r} is no name; use letters, digits, '.', '_' and '-'")
    how = canonical_json(selection.plain() | {"policy": policy})
    for _ in range(_TRIES):
        with corpus.connect() as connection:
            rows = _choose(connection, job_id, policy, selection)
            if rows == 0:
                return DatasetVersion(name, 0, 0, job_id, policy, selection)
            latest = connection.execute(named_sql("latest_version"), {"name": name}).fetchall()
            last, cut, is_same = latest[0] if latest else (0, None, False)
            if is_same and cut == how:
                return DatasetVersion(name, last, rows, job_id, policy, selection)
            values = {"name": name, "version": last + 1, "job": job_id, "selection": how, "created_at": tables.now()}
            if corpus.append("datasets", _Version(connection, values), f"dataset/{name}", last + 1):
                return DatasetVersion(name, last + 1, rows, job_id, policy, selection, is_new=True)
    raise CorpusError(f"dataset {name!r}: too many writers at once; run again")


def datasets(corpus: Corpus) -> list[DatasetVersion]:
    """All versions, by name and version."""
    found = []
    for row in corpus.rows(named_sql("datasets"), {}):
        policy = json.loads(row.pop("selection"))
        where = policy.pop("policy")
        policy |= {name: tuple(policy[name]) for name in ("pass_rate", "masks") if name in policy}
        found.append(DatasetVersion(**row, policy=where, selection=Selection(**policy)))
    return found


def find(corpus: Corpus, name: str, version: int | None = None) -> DatasetVersion:
    """A version of a dataset, the latest where none is given. Raises NotFound naming what is known."""
    known = datasets(corpus)
    versions = {found.version: found for found in known if found.name == name}
    if not versions:
        names = {found.name for found in known}
        hint = nearest(name, names) if names else "; nothing has been selected in it yet"
        raise NotFound(f"dataset: unknown dataset {name!r} in {corpus.root}{hint}")
    if version is None:
        version = max(versions)
    if version not in versions:
        raise NotFound(f"version: {name!r} has no version {version}{nearest(str(version), map(str, versions))}")
    return versions[version]


def _choose(connection: DuckDBPyConnection, job_id: str, policy: str, selection: Selection) -> int:
    """Make the table `chosen`: prompt by prompt, the first of each prompt first. Returns how many there are."""
    sql = f"""
        CREATE TEMP TABLE chosen AS
        SELECT row_number() OVER (ORDER BY prompt_id, place) - 1 AS position, trace_id, label_source, label
        FROM ({named_sql("standing")})
        WHERE stage IS NULL
    """
    connection.execute(sql, {"job": job_id, "policy": policy, **selection.values()})
    count: int = connection.execute("SELECT count(*) FROM chosen").fetchall()[0][0]
    return count


@dataclass(frozen=True, slots=True)
class _Version:
    """The rows of a version as an Arrow stream, from the start whenever a write asks: it may need more than one try."""

    connection: DuckDBPyConnection
    values: dict[str, Any]
    """The parameters of version.sql."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        rows = self.connection.sql(named_sql("version"), params=self.values).to_arrow_reader(_BATCH)
        return rows.cast(tables.SCHEMAS["datasets"]).__arrow_c_stream__(requested_schema)
