"""The ten tables of a corpus as Arrow schemas, and the one place where the house's types become rows and back.

A row holds plain JSON values only (times are microseconds since 1970), so that the ledger's lines and the Delta tables
are written from the same rows. Knows neither Delta nor DuckDB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tracemill.core.anatomy import Anatomy, Habits
from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json
from tracemill.core.types import Drop, Item, Outcome, Prompt, Rate, Sampling, Trace, Verdict

Row = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TEXT, _INT, _REAL, _TIME = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


SCHEMAS: Mapping[str, pa.Schema] = {
    "prompts": _schema(
        id=_TEXT, text=_TEXT, domain=_TEXT, verifier=_TEXT, reference=_TEXT, source=_TEXT, metadata=_TEXT,
        created_at=_TIME,
    ),
    "traces": _schema(
        id=_TEXT, prompt_id=_TEXT, job_id=_TEXT, sample=_INT, model=_TEXT, thinking=_TEXT, reasoning=_TEXT,
        answer=_TEXT, faults=pa.list_(_TEXT), temperature=_REAL, top_p=_REAL, top_k=_INT, max_tokens=_INT, seed=_INT,
        prompt_tokens=_INT, completion_tokens=_INT, finish_reason=_TEXT, created_at=_TIME, parent_id=_TEXT,
        logprobs=pa.list_(pa.float32()), interventions=pa.list_(_TEXT),
    ),
    "verdicts": _schema(
        trace_id=_TEXT, verifier=_TEXT, version=_TEXT, outcome=_TEXT, score=_REAL, reason=_TEXT, extracted=_TEXT,
        elapsed_ms=_REAL, created_at=_TIME, label_source=_TEXT, label=_TEXT,
    ),
    "drops": _schema(
        trace_id=_TEXT, filter=_TEXT, version=_TEXT, reason=_TEXT, detail=_TEXT, job_id=_TEXT, policy=_TEXT,
        created_at=_TIME,
    ),
    "datasets": _schema(
        name=_TEXT, version=_INT, trace_id=_TEXT, position=_INT, label_source=_TEXT, job_id=_TEXT, selection=_TEXT,
        created_at=_TIME, label=_TEXT,
    ),
    "audits": _schema(
        audit_id=_TEXT, scope=_TEXT, job_id=_TEXT, trace_id=_TEXT, prompt_id=_TEXT, stratum=_TEXT, stratum_size=_INT,
        place=_INT, verifier=_TEXT, version=_TEXT, outcome=_TEXT, reason=_TEXT, checker=_TEXT, checker_version=_TEXT,
        checker_options=_TEXT, checker_outcome=_TEXT, checker_reason=_TEXT, checker_extracted=_TEXT, seed=_INT,
        label=_TEXT, created_at=_TIME,
    ),
    "anatomy": _schema(
        trace_id=_TEXT, job_id=_TEXT, labeller=_TEXT, version=_TEXT, verification=_INT, backtracking=_INT,
        subgoals=_INT, backward_chaining=_INT, definition_end=_INT, bloom_end=_INT, cycles=_INT, ruminations=_INT,
        rumination=_REAL, final_start=_INT, words=_INT, paragraphs=_INT, flesch=_REAL, created_at=_TIME,
    ),
    "runs": _schema(
        run_id=_TEXT, name=_TEXT, method=_TEXT, base=_TEXT, data=_TEXT, options=_TEXT, folder=_TEXT, steps=_INT,
        tokens=_INT, seconds=_REAL, created_at=_TIME,
    ),
    "training": _schema(run_id=_TEXT, step=_INT, figure=_TEXT, value=_REAL, created_at=_TIME),
    "evaluations": _schema(
        job_id=_TEXT, name=_TEXT, model=_TEXT, domain=_TEXT, figure=_TEXT, k=_INT, value=_REAL, low=_REAL, high=_REAL,
        prompts=_INT, samples=_INT, created_at=_TIME,
    ),
}  # fmt: skip
"""Columns of each table. `metadata`, `selection`, `checker_options`, `data` and `options` are JSON text. Those of
`anatomy` are those of `core.anatomy`; where a model is the labeller, all after the four habits are NULL. `runs` has
the trainings that are finished, `training` the figures that were logged while they ran (`loss`, `rewards/accuracy`, …),
`evaluations` each figure of an evaluation job with its 95 % interval: of one domain, or of all where `domain` is "".

A new column goes to the end of its table, and `corpus.upgrade.FORMAT` up by one: corpora without it get it when opened.
"""


def arrow(name: str, rows: Sequence[Row]) -> pa.Table:
    """Rows of the table `name` as Arrow."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def clean(text: str) -> str:
    """Text that UTF-8 can hold: surrogate pairs are joined, lone surrogates become U+FFFD; all else is kept."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def micros(at: datetime) -> int:
    """Microseconds since 1970. `at` must carry a time zone."""
    return (at - EPOCH) // timedelta(microseconds=1)


def now() -> int:
    """The current time as it stands in a row."""
    return micros(datetime.now(UTC))


def _row(value: Any) -> Row:
    """The fields of a dataclass, shallow: `dataclasses.asdict` copies deeply and takes half the ledger's time."""
    return {name: getattr(value, name) for name in value.__slots__}


def _cleaned(row: Row) -> Row:
    return {key: clean(value) if isinstance(value, str) else value for key, value in row.items()}


def prompt_row(prompt: Prompt, created_at: int) -> Row:
    """Raises InputError where the metadata is not JSON."""
    try:
        metadata = canonical_json(prompt.metadata)
    except (TypeError, ValueError) as error:
        raise InputError(f"prompt {prompt.id}: metadata: {error}; use JSON values only") from error
    return _cleaned({
        "id": prompt.id, "text": prompt.text, "domain": prompt.domain, "verifier": prompt.verifier,
        "reference": prompt.reference, "source": prompt.source, "metadata": metadata, "created_at": created_at,
    })  # fmt: skip


def trace_row(trace: Trace) -> Row:
    row = _cleaned(_row(trace))
    del row["sampling"]
    lists = {name: [clean(one) for one in row[name]] for name in ("faults", "interventions")}
    return row | _row(trace.sampling) | lists | {"created_at": micros(trace.created_at)}


def verdict_row(verdict: Verdict, created_at: int) -> Row:
    return _cleaned(_row(verdict) | {"outcome": verdict.outcome.value, "created_at": created_at})


def drop_row(drop: Drop, job_id: str, policy: str, created_at: int) -> Row:
    return _cleaned(_row(drop) | {"job_id": job_id, "policy": policy, "created_at": created_at})


def anatomy_row(
    trace_id: str, job_id: str, labeller: str, version: str, found: Anatomy | Habits, created_at: int
) -> Row:
    habits = found.habits if isinstance(found, Anatomy) else found
    figures = _row(found) if isinstance(found, Anatomy) else {}
    figures.pop("habits", None)
    keys = {"trace_id": trace_id, "job_id": job_id, "labeller": labeller, "version": version}
    return keys | _row(habits) | figures | {"created_at": created_at}


def lifted(drop: Drop) -> Drop:
    """What takes a drop back; it has no filter."""
    return Drop(drop.trace_id, "", "", "lifted")


def prompt_of(row: Row) -> Prompt:
    values = {key: value for key, value in row.items() if key != "created_at"}
    return Prompt(**values | {"metadata": json.loads(row["metadata"])})


def trace_of(row: Row) -> Trace:
    """`created_at` may come as a datetime without time zone: it is UTC."""
    sampling = ("temperature", "top_p", "top_k", "max_tokens", "seed")
    values = {key: value for key, value in row.items() if key not in sampling}
    values["sampling"] = Sampling(**{key: row[key] for key in sampling})
    values["faults"] = tuple(row["faults"])
    values["logprobs"] = None if row["logprobs"] is None else tuple(row["logprobs"])
    values["interventions"] = tuple(row["interventions"])
    values["created_at"] = row["created_at"].replace(tzinfo=UTC)
    return Trace(**values)


def verdict_of(row: Row) -> Verdict:
    values = {key: value for key, value in row.items() if key != "created_at"}
    return Verdict(**values | {"outcome": Outcome(row["outcome"])})


def drop_of(row: Row) -> Drop:
    return Drop(**{name: row[name] for name in Drop.__slots__})


def item_of(row: Row) -> Item:
    """`rate` may be missing."""
    rate = row.get("rate")
    return Item(prompt_of(row["prompt"]), trace_of(row["trace"]), None if rate is None else Rate(**rate))
