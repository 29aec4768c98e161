"""What a person reads of a job and of its traces: the funnel as a picture in text, traces in full."""

from __future__ import annotations

from tracemill.core.errors import InputError, SetupError
from tracemill.core.markup import FAULTS
from tracemill.corpus import picks
from tracemill.corpus.funnel import Funnel
from tracemill.corpus.selection import DatasetVersion, Selection, datasets
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import Job, JobState
from tracemill.pipelines.policy import policy_of

_STAGES = (
    ("generated", "format"),
    ("well_formed", "verify"),
    ("correct", "filter"),
    ("sifted", "select"),
    ("kept", ""),
)
_LABELS = {
    "generated": "generated",
    "well_formed": "well-formed",
    "correct": "correct",
    "sifted": "passed filters",
    "kept": "kept",
}
_FELL = {"format": "malformed", "verify": "not correct", "filter": "dropped", "select": "not selected"}
BAR = 32


def funnel_lines(funnel: Funnel, reasons: int = 6) -> list[str]:
    """The funnel, a bar a stage, with the most frequent reasons of what fell after it."""
    lines = [f"{'':16}{'traces':>9}   of generated"]
    for stage, fall in _STAGES:
        count = getattr(funnel, stage)
        if count is None:  # nothing has been selected
            continue
        share = count / funnel.generated if funnel.generated else 0.0
        lines.append(f"{_LABELS[stage]:<16}{count:>9,} {share:>6.1%}  {'█' * round(share * BAR)}")
        fallen = sorted((f for f in funnel.fallen if f.stage == fall), key=lambda f: (-f.count, f.reason))
        for one in fallen[:reasons]:
            meaning = f"  ({FAULTS[one.reason]})" if one.reason in FAULTS else ""
            lines.append(f"{'':16}{-one.count:>9,}  {one.reason}{meaning}")
        if fallen[reasons:]:
            rest = sum(one.count for one in fallen[reasons:])
            lines.append(f"{'':16}{-rest:>9,}  {len(fallen) - reasons} other reasons (tracemill sql …)")
    return lines


def cost_line(funnel: Funnel) -> str:
    """What a kept trace cost in generated tokens."""
    if funnel.kept is None:
        return f"{funnel.completion_tokens:,} tokens generated"
    if not funnel.kept:
        return f"{funnel.completion_tokens:,} tokens generated, no trace kept"
    return f"{funnel.completion_tokens:,} tokens generated, {funnel.completion_tokens / funnel.kept:,.0f} a kept trace"


def dataset_of(job: Job, corpus: Corpus) -> DatasetVersion:
    """The newest version that a job cut under its filters and selection.

    Version 0 where there is none: with its own selection where it has finished, and so kept nothing; before that
    nothing is selected yet, and the selection lets all pass.
    """
    recipe = recipes.parse(job.recipe)
    made = [one for one in datasets(corpus) if (one.name, one.job_id) == (job.name, job.id)]
    try:
        policy = policy_of(recipe.filters)
    except (InputError, SetupError):  # a word list or an extra that the job had is gone
        if made:
            return made[-1]
        raise
    chosen = policy.selection(recipe.select)
    versions = [one for one in made if (one.policy, one.selection) == (policy.id, chosen)]
    if versions or (made and policy.reads_files):  # the files may hold something else than when the job ran
        return (versions or made)[-1]
    return DatasetVersion(job.name, 0, 0, job.id, policy.id, chosen if job.state is JobState.FINISHED else Selection())


def trace_lines(corpus: Corpus, dataset: DatasetVersion, kept: int, rejected: int) -> list[str]:
    """Traces of a data set version and of its job, in full: question, reasoning, answer, reference, verdicts.

    Rejected ones say at which stage they fell and why, and show as many different reasons as they can.
    """
    lines = []
    for trace_id in picks.kept(corpus, dataset, kept):
        lines += _trace(corpus, f"kept trace {trace_id}", trace_id)
    for one in picks.rejected(corpus, dataset, rejected):
        meaning = FAULTS.get(one.reason, one.detail)
        why = f"{_FELL[one.stage]}: {one.reason}" + (f" ({meaning})" if meaning else "")
        lines += _trace(corpus, f"rejected trace {one.trace_id}", one.trace_id, why)
    return lines


def _trace(corpus: Corpus, title: str, trace_id: str, rejected: str = "") -> list[str]:
    trace = corpus.trace(trace_id)
    prompt = corpus.prompt(trace.prompt_id)
    every = corpus.verdicts(trace_id)
    verdicts = [f"{one.verifier}: {one.outcome.value} ({one.reason})" for one in every]
    own = [one for one in every if one.verifier == prompt.verifier][-1:]
    labels = [f"{one.label or ''} ({one.label_source})".strip() for one in own if one.label_source != "gold"]
    parts = [
        ("rejected", rejected),
        ("question", prompt.text),
        ("reasoning", trace.reasoning),
        ("answer", trace.answer),
        ("reference", prompt.reference),
        ("label", "".join(labels)),
        ("verdicts", ", ".join(verdicts)),
        ("faults", ", ".join(trace.faults)),
        ("cost", f"{trace.completion_tokens} tokens, {trace.model}, {prompt.source}"),
    ]
    lines = [f"── {title} " + "─" * 24]
    for name, text in parts:
        if text:
            first, *rest = text.strip().splitlines() or [""]
            lines.append(f"{name:<10} {first}")
            lines += [f"{'':10} {line}" for line in rest]
    return [*lines, ""]
