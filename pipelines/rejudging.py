"""Makes verdicts of stored traces again, where they could not be made: without the trace being generated again.

Which: those of a judge whose engine had failed (`judge_failed`), and, where a majority gave a prompt its label, those
of the other verifiers that need a reference. They are judged against that label as the prompt's own verifier is. The
later verdict counts; what is settled is not judged again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tracemill.core.errors import EngineError
from tracemill.core.types import Outcome, Prompt, Trace, Verdict, Verifier
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.pipelines.majority import after, undecided
from tracemill.pipelines.plan import Plan
from tracemill.verifiers.judge import Judge
from tracemill.verifiers.judging import REASON_CHARS, THREADS, judge
from tracemill.verifiers.verdicts import verdict

JUDGE_FAILED = "judge_failed"
"""Code of UNDECIDED: the engine of the model that judges failed; a later run of the job asks again."""
_AT_ONCE = 16
"""Verdicts a thread that are stored together."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Verdicts of a job that are to be made again."""

    verdicts: int
    asked: int
    """Those of them that a model makes."""


def verdicts_of(
    prompt: Prompt, trace: Trace, verifiers: tuple[Verifier, ...]
) -> tuple[tuple[Verdict, ...], EngineError | None]:
    """One verdict for each verifier; UNDECIDED `judge_failed` where the engine of one failed, and how."""
    failure = None
    found: list[Verdict] = []
    for verifier in verifiers:
        try:
            found += judge(prompt, trace, (verifier,))
        except EngineError as error:
            failure = error
            line = " ".join(f"{JUDGE_FAILED}: {error}".split())[:REASON_CHARS]
            found.append(verdict(verifier, trace, Outcome.UNDECIDED, line))
    return tuple(found), failure


def unsettled(corpus: Corpus, plan: Plan) -> Unsettled:
    """How many verdicts of the job `settle` would make again."""
    sql = f"SELECT count(*) AS n, count(*) FILTER (verifier = $judge) AS asked FROM ({named_sql('unsettled')})"
    (row,) = corpus.rows(sql, _values(plan) | {"judge": Judge.name})
    return Unsettled(row["n"], row["asked"])


def settle(corpus: Corpus, plan: Plan, stopped: Callable[[], bool] = lambda: False) -> int:
    """Make them again, those of a judge with the plan's (`Plan.with_judge`), and store them; returns how many.

    Raises EngineError where a judge's engine fails, once what was made is stored. Once `stopped`, the rest is left.
    """
    failures: list[EngineError] = []

    def work(row: Row) -> Verdict | None:
        if failures or stopped():
            return None
        try:
            return _again(plan, row)
        except EngineError as error:
            failures.append(error)
            return None

    stored = 0
    threads = THREADS if plan.judge_section is None else max(THREADS, plan.judge_section.concurrency)
    rows = corpus.stream(named_sql("unsettled"), _values(plan))
    with ThreadPoolExecutor(threads, "judge") as pool:
        while not stopped() and not failures and (batch := list(islice(rows, _AT_ONCE * threads))):
            made = [one for one in pool.map(work, batch) if one is not None]
            if made:
                corpus.add_verdicts(f"rejudged/{plan.job_id}", made, after(row["said_at"] for row in batch))
                stored += len(made)
    if failures:
        raise failures[0]
    return stored


def _again(plan: Plan, row: Row) -> Verdict:
    prompt, trace, label = tables.prompt_of(row["prompt"]), tables.trace_of(row["trace"]), row["label"]
    (verifier,) = (one for one in plan.judges[prompt.verifier] if one.name == row["verifier"])
    if row["label_source"] != "majority":
        return judge(prompt, trace, (verifier,))[0]
    if label is None:
        return undecided(trace, verifier, "no_majority")
    (found,) = judge(dataclasses.replace(prompt, reference=label), trace, (verifier,))
    return dataclasses.replace(found, label_source="majority", label=label)


def _values(plan: Plan) -> dict[str, Any]:
    """The parameters of unsettled.sql."""
    every = {one.name: one.version for verifiers in plan.judges.values() for one in verifiers}
    current = [f"{name} {version}" for name, version in every.items()]
    return {"job": plan.job_id, "names": list(every), "current": current}
