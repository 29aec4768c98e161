"""Funnel and selection on random jobs, against the same rules written in plain Python."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.types import Outcome, Trace
from tracemill.corpus import picks
from tracemill.corpus.funnel import STAGES, Fallen, funnel
from tracemill.corpus.selection import DatasetVersion, Selection, datasets, find, select
from tracemill.corpus.store import Corpus


@dataclass(frozen=True)
class Made:
    """One trace of a random job and what became of it."""

    prompt: int
    tokens: int
    faults: tuple[str, ...]
    own: Outcome | None
    """None: not judged."""
    other: Outcome | None
    dropped: bool

    @property
    def correct(self) -> bool:
        return not self.faults and self.own is Outcome.CORRECT and self.other in (None, Outcome.CORRECT)

    @property
    def decided(self) -> bool:
        judged = (self.own, self.other)
        refuted = bool(self.faults) or Outcome.WRONG in judged or Outcome.UNPARSED in judged
        return refuted or (self.own is Outcome.CORRECT and self.other is not Outcome.UNDECIDED)

    @property
    def fell(self) -> tuple[str, str] | None:
        if self.faults:
            return "format", self.faults[0]
        if self.own not in (None, Outcome.CORRECT):
            return "verify", f"math: {self.own}/different"
        if self.other not in (None, Outcome.CORRECT):
            return "verify", f"language: {self.other}/different"
        if self.own is None:
            return "verify", "math: unjudged"
        return ("filter", "length: too_long") if self.dropped else None


outcomes = st.sampled_from([Outcome.CORRECT] * 4 + [Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED, None])
made = st.builds(
    Made,
    prompt=st.integers(0, 3),
    tokens=st.integers(1, 5),
    faults=st.sampled_from([(), (), (), ("no_box",), ("cut_off", "no_box")]),
    own=outcomes,
    other=st.sampled_from([None, None, Outcome.CORRECT, Outcome.WRONG, Outcome.UNDECIDED]),
    dropped=st.sampled_from([False, False, True]),
)
rates = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0])
selections = st.builds(
    Selection,
    pass_rate=st.tuples(rates, rates).map(lambda pair: (min(pair), max(pair))),
    per_prompt=st.none() | st.integers(1, 3),
    order=st.sampled_from(["shortest", "longest", "first", "random"]),
    seed=st.integers(0, 3),
)


def fill(corpus: Corpus, build: Any, job: list[Made], job_id: str) -> dict[str, Made]:
    prompts = [build.prompt(n) for n in range(4)]
    corpus.add_prompts(prompts)
    traces: dict[str, Made] = {}
    samples, drops = [], []
    for number, one in enumerate(job):
        trace: Trace = build.trace(prompts[one.prompt], number, job_id, faults=one.faults, completion_tokens=one.tokens)
        verdicts = [build.verdict(trace, one.own)] if one.own else []
        verdicts += [build.verdict(trace, one.other, verifier="language")] if one.other else []
        samples.append((trace, verdicts))
        drops += [build.drop(trace)] if one.dropped else []
        traces[trace.id] = one
    build.store(corpus, samples, job_id)
    corpus.set_drops(job_id, "strict", {drop.trace_id: drop for drop in drops})
    return traces


def expected_choice(traces: dict[str, Made], selection: Selection) -> dict[int, set[str]] | None:
    """Trace ids by prompt; for `random` only their number is known, so None."""
    by_prompt: dict[int, list[str]] = defaultdict(list)
    for trace_id, one in traces.items():
        by_prompt[one.prompt].append(trace_id)
    keys: dict[str, Any] = {
        "shortest": lambda i: (traces[i].tokens, i),
        "longest": lambda i: (-traces[i].tokens, i),
        "first": lambda i: list(traces).index(i),
        "random": lambda i: i,
    }
    chosen = {}
    for prompt, ids in by_prompt.items():
        decided = sum(traces[i].decided for i in ids)
        rate = sum(traces[i].correct for i in ids) / decided if decided else -1.0
        if selection.pass_rate[0] <= rate <= selection.pass_rate[1]:
            candidates = sorted((i for i in ids if traces[i].fell is None), key=keys[selection.order])
            chosen[prompt] = set(candidates[: selection.per_prompt])
    return {prompt: ids for prompt, ids in chosen.items() if ids}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One corpus for many random jobs."""
    return Corpus.open(tmp_path_factory.mktemp("shared") / "corpus")


numbers = itertools.count()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=st.lists(made, max_size=14), selection=selections)
def test_funnel_and_selection_follow_the_rules(
    shared: Corpus, build: Any, job: list[Made], selection: Selection
) -> None:
    job_id = f"job{next(numbers)}"
    traces = fill(shared, build, job, job_id)
    chosen = select(shared, job_id, "strict", job_id, selection)
    again = select(shared, job_id, "strict", job_id, selection)
    assert (again.version, again.rows, again.is_new) == (chosen.version, chosen.rows, False)
    sql = "SELECT trace_id FROM datasets WHERE name = $name ORDER BY position"
    ids = [row["trace_id"] for row in shared.rows(sql, {"name": job_id})]
    check_choice(ids, traces, selection)
    check_funnel(shared, traces, chosen, ids)
    check_picks(shared, chosen, ids)


def check_choice(ids: list[str], traces: dict[str, Made], selection: Selection) -> None:
    got: dict[int, set[str]] = defaultdict(set)
    for trace_id in ids:
        got[traces[trace_id].prompt].add(trace_id)
        assert traces[trace_id].fell is None
    expected = expected_choice(traces, selection)
    if selection.order == "random":
        assert {p: len(i) for p, i in got.items()} == {p: len(i) for p, i in (expected or {}).items()}
    else:
        assert got == expected


def check_funnel(corpus: Corpus, traces: dict[str, Made], chosen: Any, ids: list[str]) -> None:
    counted = funnel(corpus, chosen.job_id, "strict", chosen)
    assert counted.prompts == len({one.prompt for one in traces.values()})
    assert counted.generated == len(traces)
    assert counted.completion_tokens == sum(one.tokens for one in traces.values())
    assert counted.correct == sum(one.correct for one in traces.values())
    assert counted.kept == len(ids)
    counts = [counted.generated, counted.well_formed, counted.correct, counted.sifted, counted.kept]
    for stage, (before, after) in zip(STAGES, itertools.pairwise(counts), strict=True):
        assert before == after + counted.fell(stage)
    fallen = Counter(one.fell for one in traces.values() if one.fell)
    assert {(part.stage, part.reason): part.count for part in counted.fallen if part.stage != "select"} == fallen
    assert {part.reason for part in counted.fallen if part.stage == "select"} <= {
        "pass_rate_low", "pass_rate_high", "beyond_per_prompt",
    }  # fmt: skip


def check_picks(corpus: Corpus, chosen: DatasetVersion, ids: list[str]) -> None:
    """What can be looked at is all of the job: kept ones, and each other one with its reason, reasons in turn."""
    fallen = {(part.stage, part.reason): part.count for part in funnel(corpus, chosen.job_id, "strict", chosen).fallen}
    rejected = picks.rejected(corpus, chosen, 1000)
    reasons = [(one.stage, one.reason) for one in rejected]
    assert Counter(reasons) == fallen
    assert len(set(reasons[: len(fallen)])) == len(fallen), "every reason once before one of them twice"
    assert {one.stage for one in rejected[: len({stage for stage, _ in fallen})]} == {stage for stage, _ in fallen}
    assert sorted(picks.kept(corpus, chosen, 1000)) == sorted(ids)
    assert not set(ids) & {one.trace_id for one in rejected}
    assert [one.trace_id for one in picks.rejected(corpus, chosen, 3)] == [one.trace_id for one in rejected[:3]]


def job_of(*outcomes: list[Outcome]) -> list[Made]:
    """A job with these outcomes for prompt 0, 1, …; the later a sample, the longer it is."""
    return [
        Made(prompt, 1 + sample, (), outcome, None, False)
        for prompt, row in enumerate(outcomes)
        for sample, outcome in enumerate(row)
    ]


yes, no, unknown = Outcome.CORRECT, Outcome.WRONG, Outcome.UNDECIDED


def test_reasons_of_the_selection(corpus: Corpus, build: Any) -> None:
    fill(corpus, build, job_of([yes, yes, yes], [yes, no, no, no], [yes, yes, no, unknown], [yes, yes, no]), "job")
    chosen = select(corpus, "job", "strict", "set", Selection((0.5, 0.7), per_prompt=1))
    assert (chosen.version, chosen.rows, chosen.is_new) == (1, 2, True)
    counted = funnel(corpus, "job", "strict", chosen)
    assert [part for part in counted.fallen if part.stage == "select"] == [
        Fallen("select", "pass_rate_high", 3),
        Fallen("select", "beyond_per_prompt", 2),
        Fallen("select", "pass_rate_low", 1),
    ]
    assert funnel(corpus, "job", "strict").kept is None
    assert funnel(corpus, "nobody", "strict").generated == 0


def test_a_version_is_written_once_and_never_changes(corpus: Corpus, build: Any) -> None:
    fill(corpus, build, job_of([yes, yes], [yes, no]), "job")
    first = select(corpus, "job", "strict", "set", Selection(per_prompt=1))
    other = select(corpus, "job", "strict", "set", Selection(per_prompt=2))
    assert (first.version, other.version) == (1, 2)
    assert select(corpus, "job", "strict", "set", Selection(per_prompt=2)).version == 2
    assert select(corpus, "job", "strict", "set", Selection(pass_rate=(0, 0.1))).version == 0
    assert [(found.name, found.version, found.rows) for found in datasets(corpus)] == [("set", 1, 2), ("set", 2, 3)]
    latest = find(corpus, "set")
    assert (latest.version, latest.selection, latest.policy, latest.job_id) == (
        2,
        Selection(per_prompt=2),
        "strict",
        "job",
    )
    # what is dropped later is still in the version, but no longer sifted
    ids = {row["trace_id"] for row in corpus.rows("SELECT trace_id FROM datasets WHERE version = 2", {})}
    drop = build.drop(corpus.trace(min(ids)))
    corpus.set_drops("job", "strict", {drop.trace_id: drop})
    assert (funnel(corpus, "job", "strict", latest).kept, find(corpus, "set", 2).rows) == (2, 3)
    # going back to an earlier choice is a new version, for exports take the latest
    back = select(corpus, "job", "strict", "set", Selection(per_prompt=1))
    assert (back.version, back.is_new, find(corpus, "set").version) == (3, True, 3)


def test_random_order_depends_on_the_seed_alone(corpus: Corpus, build: Any) -> None:
    fill(corpus, build, job_of([yes] * 30), "job")
    versions = [
        select(corpus, "job", "strict", "set", Selection(per_prompt=5, order="random", seed=seed)).version
        for seed in (1, 2, 1)
    ]
    assert versions == [1, 2, 3]
    rows = [
        corpus.rows("SELECT trace_id FROM datasets WHERE version = $v ORDER BY position", {"v": v}) for v in versions
    ]
    assert rows[0] == rows[2] != rows[1]


def test_what_is_unknown_is_named(corpus: Corpus, build: Any) -> None:
    with pytest.raises(InputError, match=f"'set' in {corpus.root}; nothing has been selected in it yet"):
        find(corpus, "set")
    fill(corpus, build, job_of([yes]), "job")
    select(corpus, "job", "strict", "numbers", Selection())
    with pytest.raises(InputError, match="did you mean 'numbers'"):
        find(corpus, "number")
    with pytest.raises(InputError, match="no version 7"):
        find(corpus, "numbers", 7)
    with pytest.raises(InputError, match="dataset:"):
        select(corpus, "job", "strict", "../up", Selection())


@pytest.mark.parametrize(
    ("fields", "where"),
    [({"pass_rate": (0.6, 0.5)}, "pass_rate"), ({"pass_rate": (-1, 1)}, "pass_rate"), ({"per_prompt": 0}, "per_prompt"),
     ({"order": "shortst"}, "did you mean 'shortest'")],
)  # fmt: skip
def test_a_selection_out_of_range_names_its_field(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match=where):
        Selection(**fields)
