"""What the samples of each prompt of a job came to, from stored traces and verdicts: what figures are made of.

A sample is as right as the latest verdict of its prompt's own verifier says, whether or not its format was kept.
UNPARSED is wrong. UNDECIDED is neither: such a sample counts in `undecided` alone. Stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from math import comb

from tracemill.core.types import Outcome, Prompt, Trace, Verifier
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.pipelines.majority import votes_of
from tracemill.pipelines.references import can_vote
from tracemill.pipelines.vote import leaders
from tracemill.verifiers.judging import THREADS

_PROMPTS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one prompt's samples."""

    prompt_id: str
    domain: str
    made: int = 0
    correct: int = 0
    decided: int = 0
    """Samples that the verifier could judge: `correct` of them are right."""
    well_formed: int = 0
    cut_off: int = 0
    """Samples that were ended by the token limit."""
    tokens: int = 0
    """Of all completions."""
    majority: float | None = None
    """1 where the answer that most samples give is right, 0 where it is wrong or nobody gives one; where several
    answers tie, the share of them that is right. None where the verifier cannot compare answers, or cannot decide."""
    models: frozenset[str] = frozenset()

    def values(self, asked: int) -> dict[str, tuple[float, int]]:
        """Each figure that the prompt has a value of, and the samples behind it, where `asked` were asked for."""
        found = {
            f"pass@{k}": (pass_at(k, self.decided, self.correct), self.decided)
            for k in powers(asked)
            if k <= self.decided
        }
        if asked > 1 and self.made == asked and self.majority is not None:
            found[f"majority@{asked}"] = (self.majority, self.made)
        if self.made:
            shares = {"format": self.well_formed, "cut_off": self.cut_off, "undecided": self.made - self.decided}
            found |= {name: (count / self.made, self.made) for name, count in shares.items()}
            found["length"] = (self.tokens / self.made, self.made)
        return found | {"missing": (max(0, asked - self.made) / asked, asked)}


def powers(samples: int) -> list[int]:
    """1, 2, 4, … below `samples`, and `samples`."""
    return [*(1 << bit for bit in range(samples.bit_length()) if 1 << bit < samples), samples]


def pass_at(k: int, samples: int, correct: int) -> float:
    """The chance that one of `k` samples, drawn without putting back, is right: 1 - C(n - c, k) / C(n, k) for k ≤ n.

    Unbiased (arXiv 2107.03374, equation 1); in whole numbers up to the division, so nothing overflows.
    """
    whole = comb(samples, k)
    return (whole - comb(samples - correct, k)) / whole


def scores(corpus: Corpus, job_id: str, verifiers: Mapping[str, Verifier]) -> Iterator[Score]:
    """One for each prompt of the job that has a trace, by prompt id; `verifiers` by their names, those of the job."""
    rows = corpus.stream(named_sql("evaluated"), {"job": job_id})
    groups = (list(group) for _, group in groupby(rows, key=lambda row: row["prompt"]["id"]))
    with ThreadPoolExecutor(THREADS, "scores") as pool:
        while batch := list(islice(groups, _PROMPTS_AT_ONCE)):
            yield from pool.map(lambda rows: _score(rows, verifiers), batch)


def _score(rows: Sequence[Row], verifiers: Mapping[str, Verifier]) -> Score:
    prompt = tables.prompt_of(rows[0]["prompt"])
    traces = [tables.trace_of(row["trace"]) for row in rows]
    outcomes = [Outcome(row["outcome"]) for row in rows]
    return Score(
        prompt_id=prompt.id,
        domain=prompt.domain,
        made=len(traces),
        correct=outcomes.count(Outcome.CORRECT),
        decided=len(outcomes) - outcomes.count(Outcome.UNDECIDED),
        well_formed=sum(not trace.faults for trace in traces),
        cut_off=sum(trace.finish_reason == "length" for trace in traces),
        tokens=sum(trace.completion_tokens for trace in traces),
        majority=_majority(prompt, traces, outcomes, verifiers.get(prompt.verifier)),
        models=frozenset(trace.model for trace in traces),
    )


def _majority(
    prompt: Prompt, traces: Sequence[Trace], outcomes: Sequence[Outcome], verifier: Verifier | None
) -> float | None:
    """See `Score.majority`. An answer is right where the stored verdicts of the samples that give it say so."""
    if verifier is None or not can_vote(verifier) or len(traces) < 2 or set(outcomes) == {Outcome.UNDECIDED}:
        return None
    votes = votes_of(prompt, traces, verifier)
    if not votes.counts:
        return 0.0
    values = []
    for leader in leaders(votes.counts, votes.same):
        said = [one for trace, one in zip(traces, outcomes, strict=True) if votes.answers[trace.id] == leader]
        decided = [one is Outcome.CORRECT for one in said if one is not Outcome.UNDECIDED]
        if not decided:
            return None
        values.append(sum(decided) / len(decided))
    return sum(values) / len(values) if values else None
