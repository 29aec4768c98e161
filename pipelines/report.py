"""What a person reads of a job and of its traces: the funnel as a picture in text, traces in full."""

from __future__ import annotations

from tracemill.core.markup import FAULTS
from tracemill.corpus import picks
from tracemill.corpus.funnel import Funnel
from tracemill.corpus.store import Corpus

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
BAR = 32


def funnel_lines(funnel: Funnel, reasons: int = 6) -> list[str]:
    """The funnel, a bar a stage, with the most frequent reasons of what fell after it."""
    lines = [f"{'':16}{'traces':>9}   of generated"]
    for stage, fall in _STAGES:
        count = getattr(funnel, stage) or 0
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
    if not funnel.kept:
        return f"{funnel.completion_tokens:,} tokens generated, no trace kept"
    return f"{funnel.completion_tokens:,} tokens generated, {funnel.completion_tokens / funnel.kept:,.0f} a kept trace"


def trace_lines(corpus: Corpus, job_id: str, name: str, kept: int, rejected: int) -> list[str]:
    """Traces of a job and of the data set named like it, in full: question, reasoning, answer, reference, verdicts."""
    lines = []
    for title, trace_ids in (
        ("kept", picks.kept(corpus, job_id, name, kept)),
        ("rejected", picks.rejected(corpus, job_id, rejected)),
    ):
        for trace_id in trace_ids:
            lines += _trace(corpus, title, trace_id)
    return lines


def _trace(corpus: Corpus, title: str, trace_id: str) -> list[str]:
    trace = corpus.trace(trace_id)
    prompt = corpus.prompt(trace.prompt_id)
    every = corpus.verdicts(trace_id)
    verdicts = [f"{one.verifier}: {one.outcome.value} ({one.reason})" for one in every]
    own = [one for one in every if one.verifier == prompt.verifier][-1:]
    labels = [f"{one.label or ''} ({one.label_source})".strip() for one in own if one.label_source != "gold"]
    parts = [
        ("question", prompt.text),
        ("reasoning", trace.reasoning),
        ("answer", trace.answer),
        ("reference", prompt.reference),
        ("label", "".join(labels)),
        ("verdicts", ", ".join(verdicts)),
        ("faults", ", ".join(trace.faults)),
        ("cost", f"{trace.completion_tokens} tokens, {trace.model}, {prompt.source}"),
    ]
    lines = [f"── {title} trace {trace_id} " + "─" * 24]
    for name, text in parts:
        if text:
            first, *rest = text.strip().splitlines() or [""]
            lines.append(f"{name:<10} {first}")
            lines += [f"{'':10} {line}" for line in rest]
    return [*lines, ""]
