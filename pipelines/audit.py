"""Audits stored verdicts: a second checker looks at a sample of them, and what it thinks otherwise is counted.

The sample is stratified by the prompt's verifier and its outcome: an error is a verifier's, and the rare outcomes must
be there too. Correct and wrong verdicts get four samples for each one of unparsed and undecided ones, within an outcome
in proportion to the strata, at least one a stratum; in a stratum the seed decides. The checker sees what the verifier
saw: the same answer, and where a majority gave the label, that label.

It measures disagreement between two checkers, not truth: where both err alike nothing is found, and where they differ
either may be wrong. What the checker cannot decide is counted apart, never imputed. A finished audit is stored in the
table `audits`; the same one over the same verdicts is read from there and not made again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Item, Outcome, Verifier
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.pipelines.estimate import Estimate, estimate
from tracemill.verifiers.judging import THREADS, judge_many

_OURS = (
    "job_id", "trace_id", "prompt_id", "stratum", "stratum_size", "place", "verifier", "version", "outcome", "reason",
    "label",
)  # fmt: skip
SHARES = {Outcome.CORRECT: 4, Outcome.WRONG: 4, Outcome.UNPARSED: 1, Outcome.UNDECIDED: 1}
"""How the samples are divided among the outcomes that there are."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The verdicts of a job, or of the traces in a version of a data set."""

    job_id: str | None
    dataset: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"job {self.job_id}" if self.dataset is None else f"data set {self.dataset}@{self.version}"

    def values(self) -> dict[str, Any]:
        """Parameters of audited.sql."""
        return {"job": None if self.dataset else self.job_id, "name": self.dataset, "version": self.version}


@dataclass(frozen=True, slots=True)
class Sample:
    """Which verdicts an audit looks at, before it has looked."""

    audit_id: str
    scope: Scope
    seed: int
    population: int
    rows: Sequence[Row]
    """Of audited.sql, with the stratum's size."""


@dataclass(frozen=True, slots=True)
class Audit:
    """A finished audit: one row of the table `audits` for each verdict that was looked at."""

    audit_id: str
    rows: Sequence[Row]
    is_new: bool

    def table(self) -> dict[str, dict[str, int]]:
        """Our outcome → the checker's → how many of the sample."""
        names = [outcome.value for outcome in Outcome]
        counts = {ours: dict.fromkeys(names, 0) for ours in names}
        for row in self.rows:
            counts[row["outcome"]][row["checker_outcome"]] += 1
        return counts

    def population(self) -> dict[str, int]:
        """Our outcome → how many stored verdicts the sample stands for."""
        sizes = {row["stratum"]: (row["outcome"], row["stratum_size"]) for row in self.rows}
        return {name: sum(size for outcome, size in sizes.values() if outcome == name) for name in Outcome}

    def false_accepts(self) -> Estimate:
        """The share of our correct verdicts that the checker calls wrong."""
        return self._opposed(Outcome.CORRECT, Outcome.WRONG)

    def false_rejects(self) -> Estimate:
        """The share of our wrong verdicts that the checker calls correct."""
        return self._opposed(Outcome.WRONG, Outcome.CORRECT)

    def disagreements(self, most: int) -> list[Row]:
        """Verdicts of which the checker says the opposite, false accepts first."""
        pairs = [(Outcome.CORRECT, Outcome.WRONG), (Outcome.WRONG, Outcome.CORRECT)]
        found = [row for pair in pairs for row in self.rows if (row["outcome"], row["checker_outcome"]) == pair]
        return found[:most]

    def _opposed(self, ours: Outcome, theirs: Outcome) -> Estimate:
        rows = [row for row in self.rows if row["outcome"] == ours]
        looked: dict[str, int] = {}
        for row in rows:
            looked[row["stratum"]] = looked.get(row["stratum"], 0) + 1
        said = {theirs: True, ours: False}
        return estimate(
            (row["stratum_size"] / looked[row["stratum"]], said.get(Outcome(row["checker_outcome"]))) for row in rows
        )


def draw(
    corpus: Corpus, scope: Scope, checker: Verifier, options: Mapping[str, Any], samples: int, seed: int
) -> Sample:
    """Choose the verdicts to look at. Raises InputError where there are none, or more strata than samples."""
    with corpus.connect() as connection:
        values = {**scope.values(), "seed": str(seed)}
        connection.execute(f"CREATE TEMP TABLE audited AS {named_sql('audited')}", values)
        strata: list[Row] = connection.sql(named_sql("strata")).to_arrow_table().to_pylist()
        if not strata:
            raise InputError(f"audit: no trace of {scope} has a verdict of its prompt's verifier")
        if samples < len(strata):
            raise InputError(f"--samples: {samples} is less than the {len(strata)} strata; give more")
        given = allocate({one["stratum"]: (Outcome(one["outcome"]), one["size"]) for one in strata}, samples)
        near = {"most": max(given.values())}
        rows = connection.sql("SELECT * FROM audited WHERE place <= $most ORDER BY stratum, place", params=near)
        chosen = [row for row in rows.to_arrow_table().to_pylist() if row["place"] <= given[row["stratum"]]]
    sizes = {one["stratum"]: one["size"] for one in strata}
    what = [f"{one['stratum']} {one['size']} {one['fingerprint']}" for one in strata]
    audit_id = content_id(
        "audit", str(scope), checker.name, checker.version, canonical_json(options), samples, seed, *what
    )
    chosen = [row | {"stratum_size": sizes[row["stratum"]]} for row in chosen]
    return Sample(audit_id, scope, seed, sum(sizes.values()), chosen)


def allocate(strata: Mapping[str, tuple[Outcome, int]], samples: int) -> dict[str, int]:
    """Samples for each stratum of (outcome, size): one for each, the rest one by one to the one that lacks most."""
    totals = {outcome: sum(size for of, size in strata.values() if of is outcome) for outcome in Outcome}
    wanted = {name: SHARES[outcome] * size / totals[outcome] for name, (outcome, size) in strata.items()}
    given = dict.fromkeys(sorted(strata), 1)
    for _ in range(samples - len(strata)):
        open_ones = [name for name in given if given[name] < strata[name][1]]
        if not open_ones:
            break
        given[max(open_ones, key=lambda name: wanted[name] / given[name])] += 1
    return given


def stored(corpus: Corpus, audit_id: str) -> Audit | None:
    """The audit of that id, where it was made before."""
    rows = corpus.rows("SELECT * FROM audits WHERE audit_id = $id ORDER BY stratum, place", {"id": audit_id})
    return Audit(audit_id, rows, is_new=False) if rows else None


def check(
    corpus: Corpus,
    sample: Sample,
    checker: Verifier,
    options: Mapping[str, Any],
    threads: int = THREADS,
) -> Audit:
    """Let the checker look at the sample, and store what it says. Raises EngineError where a judge's engine fails."""
    items = {item.trace.id: item for item in corpus.items([row["trace_id"] for row in sample.rows])}
    shown = [as_judged(items[row["trace_id"]], row["label"]) for row in sample.rows]
    judged = [said for (said,) in judge_many(shown, (checker,), threads)]
    shared = {
        "audit_id": sample.audit_id, "scope": str(sample.scope), "checker": checker.name,
        "checker_version": checker.version, "checker_options": canonical_json(options), "seed": sample.seed,
        "created_at": tables.now(),
    }  # fmt: skip
    rows = [
        shared
        | {name: row[name] for name in _OURS}
        | {
            "checker_outcome": said.outcome.value,
            "checker_reason": tables.clean(said.reason),
            "checker_extracted": None if said.extracted is None else tables.clean(said.extracted),
        }
        for row, said in zip(sample.rows, judged, strict=True)
    ]
    corpus.append("audits", tables.arrow("audits", rows), f"audit/{sample.audit_id}", 1)
    return Audit(sample.audit_id, rows, is_new=True)


def as_judged(item: Item, label: str | None) -> Item:
    """The item with the reference that its verdict was made against."""
    if label is None:
        return item
    return dataclasses.replace(item, prompt=dataclasses.replace(item.prompt, reference=label))
