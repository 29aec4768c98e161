"""The one boundary between verifiers and the rest: whatever a verifier raises becomes UNDECIDED with a reason.

Measures the time of each verdict. Does not choose verifiers, does not retry, and does not limit time: verifiers that
run foreign code do that in `verifiers.worker`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tracemill.core import ids, plugins
from tracemill.core.markup import markup_named, split
from tracemill.core.types import Outcome, Prompt, Sampling, Trace, Verdict, Verifier
from tracemill.verifiers.verdicts import Undecidable, verdict

REASON_CHARS = 200
"""Longest reason that is kept of an unexpected error."""


def judge(prompt: Prompt, trace: Trace, verifiers: Iterable[Verifier]) -> tuple[Verdict, ...]:
    """One verdict for each verifier, in their order. Raises nothing but KeyboardInterrupt and its like."""
    return tuple(_judge_one(prompt, trace, verifier) for verifier in verifiers)


def _judge_one(prompt: Prompt, trace: Trace, verifier: Verifier) -> Verdict:
    started = time.perf_counter()
    try:
        result = verifier.verify(prompt, trace)
    except Undecidable as error:
        result = verdict(verifier, trace, Outcome.UNDECIDED, error.reason)
    except Exception as error:  # noqa: BLE001 - the boundary: a verifier's own failure must not become a label
        line = " ".join(f"error: {type(error).__name__}: {error}".split())
        result = verdict(verifier, trace, Outcome.UNDECIDED, line[:REASON_CHARS])
    return dataclasses.replace(result, elapsed_ms=(time.perf_counter() - started) * 1000)


def verify_answer(name: str, answer: str, reference: str, prompt: str, metadata: Mapping[str, Any]) -> Verdict:
    """Judge a model's text, with or without reasoning and tags. Raises InputError for an unknown verifier or format.

    The think format is `metadata["thinking"]`; else `r1` for the format verifier and `native` for all others.
    """
    verifier: Verifier = plugins.get("verifiers", name)
    thinking = str(metadata.get("thinking", "r1" if name == "format" else "native"))
    parts = split(answer, markup_named(thinking, "metadata.thinking"))
    known = Prompt(ids.prompt_id(prompt, name, reference), prompt, "", name, reference, "verify", metadata)
    trace = Trace(
        id=ids.trace_id("verify", known.id, 0),
        prompt_id=known.id,
        job_id="verify",
        sample=0,
        model="",
        thinking=thinking,
        reasoning=parts.reasoning,
        answer=parts.answer,
        faults=parts.faults,
        sampling=Sampling(),
        prompt_tokens=0,
        completion_tokens=0,
        finish_reason="stop",
        created_at=datetime.now(UTC),
    )
    return judge(known, trace, (verifier,))[0]
