"""Selection, funnel and accepted traces on random corpora against the rules in plain Python, row by row.

Beyond test_funnel: several jobs in one corpus, verdicts that later ones overrule, labels, prompts that are missing,
more than one drop. The written rows and their order are compared, whole.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracemill.core.errors import CorpusError
from tracemill.core.types import Outcome
from tracemill.corpus import lease, tables, views
from tracemill.corpus.funnel import funnel
from tracemill.corpus.selection import Selection, select
from tracemill.corpus.store import Corpus

SIZE = 5000


@dataclass(frozen=True, order=True)
class Said:
    """A verdict; of those of one verifier the greatest counts."""

    at: int
    version: str
    outcome: str
    reason: str

    @property
    def label(self) -> tuple[str, str | None]:
        return ("majority", f"answer {self.at}{self.version}{self.outcome}") if self.at % 2 else ("gold", None)


@dataclass(frozen=True)
class Made:
    """A trace of a random corpus. Prompt 3 is missing."""

    job: int
    prompt: int
    tokens: int
    faults: tuple[str, ...]
    said: list[tuple[str, Said]]
    drops: list[tuple[str, str]]
    """Policy and filter."""

    def last(self, verifier: str) -> Said | None:
        return max((said for by, said in self.said if by == verifier), default=None)

    @property
    def own(self) -> Said | None:
        return None if self.prompt == 3 else self.last("math")

    @property
    def latest(self) -> dict[str, Said]:
        return {by: max(said for one, said in self.said if one == by) for by, _ in self.said}

    @property
    def correct(self) -> bool:
        return not self.faults and self.own is not None and {s.outcome for s in self.latest.values()} == {"correct"}

    @property
    def decided(self) -> bool:
        outcomes = {said.outcome for said in self.latest.values()}
        refuted = bool(outcomes - {"correct", "undecided"})
        return bool(self.faults) or refuted or (self.own is not None and "undecided" not in outcomes)

    @property
    def fell(self) -> tuple[str, str] | None:
        if self.faults:
            return "format", self.faults[0]
        if not self.correct:
            refusals = sorted((self.prompt == 3 or by != "math", by) for by in self.latest if self.bad(by))
            if refusals:
                by = refusals[0][1]
                return "verify", f"{by}: {self.latest[by].outcome}/{self.latest[by].reason.split(': ')[0]}"
            return "verify", "no prompt" if self.prompt == 3 else "math: unjudged"
        drops = [f"{name}: too_long" for policy, name in self.drops if policy == "strict"]
        return ("filter", min(drops)) if drops else None

    def bad(self, verifier: str) -> bool:
        return self.latest[verifier].outcome != "correct"


said = st.builds(
    Said,
    at=st.integers(1, 3),
    version=st.sampled_from(["1", "10", "2"]),
    outcome=st.sampled_from(["correct"] * 4 + ["wrong", "unparsed", "undecided"]),
    reason=st.sampled_from(["code", "other: detail: more"]),
)
verdicts = st.lists(st.tuples(st.sampled_from(["math", "math", "math", "language", "word"]), said), max_size=5)
made = st.builds(
    Made,
    job=st.sampled_from([0, 0, 0, 1]),
    prompt=st.integers(0, 3),
    tokens=st.integers(1, 4),
    faults=st.sampled_from([(), (), (), ("no_box",), ("cut_off", "no_box")]),
    said=verdicts | said.map(lambda one: [("math", one)]),
    drops=st.lists(st.tuples(st.sampled_from(["strict", "lax"]), st.sampled_from(["length", "copy"])), max_size=2),
)
rates = st.sampled_from([0.0, 0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0])
selections = st.builds(
    Selection,
    pass_rate=st.tuples(rates, st.just(1.0) | rates).map(lambda pair: (min(pair), max(pair))),
    per_prompt=st.none() | st.integers(1, 3),
    order=st.sampled_from(["shortest", "longest", "first", "random"]),
    seed=st.integers(0, 3),
)
numbers = itertools.count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One corpus for many random jobs."""
    return Corpus.open(tmp_path_factory.mktemp("shared") / "corpus")


def fill(corpus: Corpus, build: Any, traces: list[Made], number: int) -> dict[tuple[str, int], tuple[str, Made]]:
    """Ids and traces by (prompt id, sample) of the jobs `<number>-0` and `<number>-1`."""
    prompts = [build.prompt(n) for n in range(4)]
    corpus.add_prompts(prompts[:3])
    rows: dict[str, list[tables.Row]] = {"traces": [], "verdicts": [], "drops": []}
    placed = {}
    for sample, one in enumerate(traces):
        job = f"{number}-{one.job}"
        trace = build.trace(prompts[one.prompt], sample, job, faults=one.faults, completion_tokens=one.tokens)
        placed[trace.prompt_id, sample] = trace.id, one
        rows["traces"].append(tables.trace_row(trace))
        for by, s in one.said:
            verdict = build.verdict(trace, Outcome(s.outcome), verifier=by, version=s.version, reason=s.reason)
            source, label = s.label
            rows["verdicts"].append(tables.verdict_row(verdict, s.at) | {"label_source": source, "label": label})
        for policy, name in one.drops:
            rows["drops"].append(tables.drop_row(build.drop(trace, filter=name), job, policy, 1))
    for table, found in rows.items():
        if found:
            corpus.append(table, tables.arrow(table, found), f"fill-{number}", 1)
    return placed


def expected(placed: dict[tuple[str, int], tuple[str, Made]], how: Selection) -> tuple[list[tables.Row], Counter[Any]]:
    """Rows of the version of job 0, and what fell, by stage and reason."""
    keys: dict[str, Callable[[int, str, Made], Any]] = {
        "shortest": lambda sample, name, one: one.tokens,
        "longest": lambda sample, name, one: -one.tokens,
        "first": lambda sample, name, one: sample,
        "random": lambda sample, name, one: md5(f"{how.seed}:{name}".encode()).hexdigest(),
    }
    mine = {key: found for key, found in placed.items() if found[1].job == 0}
    rows: list[tables.Row] = []
    fell = Counter(one.fell for _, one in mine.values() if one.fell)
    for prompt in sorted({prompt for prompt, _ in mine}):
        of = {sample: found for (one, sample), found in mine.items() if one == prompt}
        decided = sum(one.decided for _, one in of.values())
        correct = sum(one.correct for _, one in of.values())
        able = sorted(
            (keys[how.order](sample, name, one), name, one) for sample, (name, one) in of.items() if one.fell is None
        )
        for place, (_, name, one) in enumerate(able, 1):
            if correct / decided < how.pass_rate[0]:
                fell["select", "pass_rate_low"] += 1
            elif correct / decided > how.pass_rate[1]:
                fell["select", "pass_rate_high"] += 1
            elif how.per_prompt is not None and place > how.per_prompt:
                fell["select", "beyond_per_prompt"] += 1
            else:
                assert one.own is not None
                source, label = one.own.label
                rows.append({"position": len(rows), "trace_id": name, "label_source": source, "label": label})
    return rows, fell


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traces=st.lists(made, max_size=25), how=selections)
def test_rows_funnel_and_accepted_follow_the_rules(
    shared: Corpus, build: Any, traces: list[Made], how: Selection
) -> None:
    number = next(numbers)
    placed = fill(shared, build, traces, number)
    rows, fell = expected(placed, how)
    chosen = select(shared, f"{number}-0", "strict", f"set{number}", how)
    assert (chosen.version, chosen.rows, chosen.is_new) == ((1, len(rows), True) if rows else (0, 0, False))
    sql = "SELECT position, trace_id, label_source, label FROM datasets WHERE name = $name ORDER BY position"
    assert shared.rows(sql, {"name": f"set{number}"}) == rows
    assert select(shared, f"{number}-0", "strict", f"set{number}", how).is_new is False
    counted = funnel(shared, f"{number}-0", "strict", chosen)
    assert {(part.stage, part.reason): part.count for part in counted.fallen} == fell
    assert (counted.kept, counted.generated) == (len(rows), sum(one.job == 0 for one in traces))
    accepted = [item.trace.id for item in shared.accepted(f"{number}-0")]
    assert accepted == [name for _, (name, one) in sorted(placed.items()) if one.job == 0 and one.correct]


def test_a_changed_label_alone_is_a_new_version(corpus: Corpus, build: Any) -> None:
    prompt = build.prompt()
    corpus.add_prompts([prompt])
    trace = build.trace(prompt)
    build.store(corpus, [(trace, [build.verdict(trace)])])
    assert select(corpus, "job", "none", "set", Selection()).version == 1
    corpus.add_verdicts("later", [build.verdict(trace, label_source="majority", label="0")], tables.now())
    assert (select(corpus, "job", "none", "set", Selection()).version, funnel(corpus, "job", "none").correct) == (2, 1)
    assert select(corpus, "job", "none", "set", Selection()).is_new is False
    stored = corpus.delta("datasets").to_pyarrow_table()
    assert stored.schema.equals(tables.SCHEMAS["datasets"])
    assert stored.sort_by("version").column("label").to_pylist() == [None, "0"]


def test_a_version_whose_rows_break_off_is_not_written(local: Corpus) -> None:
    """They flow from DuckDB, so that the last may fail when the first are on the disk."""

    class Breaking:
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            schema = tables.SCHEMAS["datasets"]
            return pa.RecordBatchReader.from_batches(schema, self.batches()).__arrow_c_stream__(requested_schema)

        def batches(self) -> Any:
            row = {"name": "set", "version": 1, "trace_id": "id", "position": 0}
            yield pa.RecordBatch.from_pylist([row] * SIZE, schema=tables.SCHEMAS["datasets"])
            raise OSError("no space left on device")

    with pytest.raises(CorpusError, match="no space left"):
        local.append("datasets", Breaking(), "dataset/set", 1)
    assert local.rows("SELECT count(*) AS n FROM datasets", {}) == [{"n": 0}]


def test_what_does_not_fit_spills_where_no_other_machine_does(local: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def folders() -> set[Path]:
        return set(Path(local.root).glob("spill-*"))

    monkeypatch.setattr(views, "_MEMORY", "100MB")
    sql = "CREATE TEMP TABLE many AS SELECT md5(i::VARCHAR) AS text FROM range(3_000_000) r(i)"
    with local.connect() as connection:
        connection.execute(sql)
        (here,) = folders()
        assert list(here.iterdir())
        monkeypatch.setattr("tracemill.corpus.place.machine", lambda: lease.machine() + "another")
        with local.connect() as other:
            other.execute(sql)
            assert len(folders()) == 2
        assert connection.execute("SELECT count(DISTINCT text) FROM many").fetchall() == [(3_000_000,)]
    assert not folders()
