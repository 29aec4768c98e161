"""Labels prompts without gold by the answer that most of their samples give, and judges the samples by it.

Two answers are the same where the prompt's own verifier accepts each with the other as reference (`pipelines.vote`).
Who votes: well-formed samples that were not cut off, whose answer the verifier reads and accepts against itself; not
refusals and placeholders, and with math no words. "We cannot" in a derivation is no refusal (`_declines`). Where nobody
wins, all samples of the prompt are UNDECIDED `no_majority`, never wrong. Otherwise each gets the verifier's verdict
against the winner; UNDECIDED where the two directions do not agree.

Verdicts are stored under the verifier's own name with `label_source` majority and the winner as `label`. Run again, it
stores only those that have changed: more samples, another `min_votes` or version give new verdicts, after the old ones.
Only verifiers whose references are answers can do this (`reference_is_answer`).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby, islice

from tracemill.core import plugins
from tracemill.core.types import Outcome, Prompt, Trace, Verdict, Verifier
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.corpus.views import named_sql
from tracemill.pipelines.references import can_vote, needs_reference
from tracemill.pipelines.vote import Ballot, Same, count
from tracemill.verifiers.extraction import extract, finals, tagged
from tracemill.verifiers.judging import THREADS, judge

_PROMPTS_AT_ONCE = 512
_CANNOT = r"(?:do not|are not|cannot|could not|don't|aren't|can't|couldn't)"
_REFUSAL = re.compile(
    rf"\bI(?:(?: a|')m not| am unable| {_CANNOT})\b|\b(?:not sure|no idea|as an AI|sorry|unable to)\b", re.IGNORECASE
)
_NO_ANSWER = re.compile(
    rf"{_REFUSAL.pattern}|\bwe {_CANNOT}\b|\banswer (?:goes )?here\b|^\W*(?:(?:the|your|final) )*answer\W*$",
    re.IGNORECASE,
)
"""A refusal, or the template's words: samples that agree on that have not found an answer."""
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n")
_BLANK = "".join(filter(str.isspace, map(chr, range(0x10000))))
"""What `str.strip` takes away: a reference of such characters only is none, in goldless.sql too."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of the prompts without gold."""

    prompts: int
    labelled: int
    """Prompts whose samples agree."""
    verdicts: int
    """New or changed verdicts that this call stored."""


def label(
    corpus: Corpus,
    job_id: str,
    verifiers: Mapping[str, Verifier],
    min_votes: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Labelled:
    """Label the job's prompts that need it; `verifiers` by their names. Once `stopped`, the rest is left."""
    prompts = labelled = stored = 0

    def work(rows: list[Row]) -> tuple[bool, list[Verdict]] | None:
        prompt = tables.prompt_of(rows[0]["prompt"])
        verifier = verifiers[prompt.verifier]
        if not (can_vote(verifier) and needs_reference(prompt, verifier)):
            return None
        verdicts = judged(prompt, [tables.trace_of(row["trace"]) for row in rows], verifier, min_votes)
        return verdicts[0].label is not None, _changed(verdicts, rows)

    rows = corpus.stream(named_sql("goldless"), {"job": job_id, "blank": _BLANK})
    groups = (list(group) for _, group in groupby(rows, key=lambda row: row["prompt"]["id"]))
    with ThreadPoolExecutor(THREADS, "vote") as pool:
        while not stopped() and (batch := list(islice(groups, _PROMPTS_AT_ONCE))):
            done = [one for one in pool.map(work, batch) if one is not None]
            prompts += len(done)
            labelled += sum(won for won, _ in done)
            fresh = [verdict for _, verdicts in done for verdict in verdicts]
            if fresh:
                made_at = after(row["latest"]["created_at"] for rows in batch for row in rows)
                corpus.add_verdicts(f"majority/{job_id}", fresh, made_at)
                stored += len(fresh)
    return Labelled(prompts, labelled, stored)


def judged(prompt: Prompt, traces: list[Trace], verifier: Verifier, min_votes: int) -> list[Verdict]:
    """A verdict for each trace of one prompt, in their order."""
    votes = votes_of(prompt, traces, verifier)
    answers = votes.answers
    ballot = count(votes.counts, votes.same, min_votes)
    if ballot is not None:
        verdicts = [_judge(prompt, trace, verifier, ballot.winner) for trace in traces]
        verdicts = [_settled(one, answers[one.trace_id], ballot, votes.counts.total()) for one in verdicts]
        agreed = sum(one.outcome is Outcome.CORRECT and answers[one.trace_id] is not None for one in verdicts)
        if agreed >= min_votes:
            return verdicts
    most = max(votes.counts.values(), default=0)
    reason = f"no_majority: {votes.counts.total()} votes, at most {most} in the same words"
    return [undecided(trace, verifier, reason) for trace in traces]


@dataclass(frozen=True, slots=True)
class Votes:
    """What the samples of one prompt answer, and which of these answers are the same."""

    answers: Mapping[str, str | None]
    """By trace id, in a form that the verifier can take as reference; None where the sample does not vote."""
    counts: Counter[str]
    same: Same


def votes_of(prompt: Prompt, traces: Iterable[Trace], verifier: Verifier) -> Votes:
    """The votes of one prompt's samples, compared by its own verifier, whatever reference the prompt has."""
    traces = sorted(traces, key=lambda trace: (trace.answer, trace.id))
    answers = {trace.id: _vote(prompt, trace, verifier) for trace in traces}
    speakers = {answers[trace.id]: trace for trace in traces}

    @cache
    def same(reference: str, answer: str) -> bool | None:
        outcome = _judge(prompt, speakers[answer], verifier, reference).outcome
        return {Outcome.CORRECT: True, Outcome.WRONG: False}.get(outcome)

    return Votes(answers, Counter(answer for answer in answers.values() if answer is not None), same)


def undecided(trace: Trace, verifier: Verifier, reason: str) -> Verdict:
    """What a verifier says where there is no majority to judge by."""
    return Verdict(trace.id, verifier.name, verifier.version, Outcome.UNDECIDED, None, reason, label_source="majority")


def _vote(prompt: Prompt, trace: Trace, verifier: Verifier) -> str | None:
    """The trace's answer in a form that its verifier can take as reference; None where it does not vote."""
    if trace.faults or trace.finish_reason == "length" or _declines(trace.answer):
        return None
    others = [_judge(prompt, trace, verifier, reference) for reference in _readable(verifier.name)]
    # A verifier finds the reference itself in any text: only against another does it say that there is no answer.
    if all(one.outcome is Outcome.UNPARSED for one in others):
        return None
    forms = [extract(trace.answer).text, tagged(trace.answer).strip(), *(one.extracted for one in others)]
    for form in dict.fromkeys(forms):
        if form and _judge(prompt, trace, verifier, form).outcome is Outcome.CORRECT:
            return form
    return None


def _declines(answer: str) -> bool:
    """Whether the sample refuses, or fills in the template's words, in place of an answer.

    A marked answer speaks for itself. "The answer is" may stand in a refusal (I cannot say what the answer is): there
    nobody may refuse, but "we don't know x yet" in another sentence is part of the derivation.
    """
    found = extract(answer)
    if found.text is not None and found.marked:
        return _NO_ANSWER.search(found.text) is not None
    if found.text is None or not finals(answer):
        return _NO_ANSWER.search(answer) is not None
    said = [found.text, *(one for one in _SENTENCES.split(answer) if "answer" in one.casefold())]
    return _REFUSAL.search(answer) is not None or any(map(_NO_ANSWER.search, said))


@cache
def _readable(name: str) -> list[str]:
    """References that a verifier can read: those of its own right examples, two of them."""
    examples = plugins.load("verifiers")[name].EXAMPLES
    return list(dict.fromkeys(one.reference for one in examples if one.outcome is Outcome.CORRECT))[:2]


def _judge(prompt: Prompt, trace: Trace, verifier: Verifier, reference: str) -> Verdict:
    return judge(dataclasses.replace(prompt, reference=reference), trace, (verifier,))[0]


def _settled(verdict: Verdict, answer: str | None, ballot: Ballot, voters: int) -> Verdict:
    """The verdict against the winner, as far as it agrees with what the vote found, with the votes in its reason."""
    if verdict.outcome not in (Outcome.CORRECT, Outcome.WRONG):
        return dataclasses.replace(verdict, label_source="majority", label=ballot.winner)
    expected = {True: Outcome.CORRECT, False: Outcome.WRONG, None: None}
    if answer is not None and verdict.outcome is not expected[ballot.same[answer]]:
        verdict = dataclasses.replace(verdict, outcome=Outcome.UNDECIDED, score=None, reason="one_way")
    joint = ", " if ": " in verdict.reason else ": "
    reason = f"{verdict.reason}{joint}{ballot.votes} of {voters} votes"
    return dataclasses.replace(verdict, reason=reason, label_source="majority", label=ballot.winner)


def _changed(verdicts: Iterable[Verdict], rows: Iterable[Row]) -> list[Verdict]:
    """The verdicts that say something else than the latest stored ones, whose fields are None where there is none."""
    fields = ("version", "outcome", "reason", "label_source", "label")
    return [
        verdict
        for verdict, row in zip(verdicts, rows, strict=True)
        if any(getattr(verdict, name) != row["latest"][name] for name in fields)
    ]


def after(stored: Iterable[datetime | None]) -> int:
    """The time now; later than all stored verdicts of these times (UTC), also where the clock was set back."""
    return max([tables.now(), *(tables.micros(at.replace(tzinfo=UTC)) + 1 for at in stored if at is not None)])
