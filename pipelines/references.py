"""Looks at the references of a job's prompts before anything is generated: which ones can their verifier not read?

Each reference is judged with itself as the answer, then with another one: verifiers read the reference first
(`bad_reference`), but may find two texts equal without. No model is asked. Where it takes long the rest is left
unchecked, and said so; the verdicts of its traces will tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Prompt, Verifier
from tracemill.verifiers.judging import BAD_REFERENCE, NO_REFERENCE, THREADS, judge, unsampled_trace

SECONDS = 60.0
"""Longest check; 100,000 references of numbers or letters take some seconds."""
EXAMPLES = 3
"""Bad references that are shown."""
OTHER_ANSWER = "0"
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class BadReference:
    """A reference that its verifier cannot read."""

    prompt_id: str
    question: str
    """The beginning of the prompt's text."""
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReferenceCheck:
    """What the references of a job are worth."""

    prompts: int
    checked: int
    """The others were left at the time limit."""
    bad: int
    missing: int
    """Prompts without gold answer whose verifier needs one."""
    examples: tuple[BadReference, ...]
    """The first bad ones."""


def needs_reference(prompt: Prompt, verifier: Verifier) -> bool:
    """Whether an answer to this prompt cannot be judged because the prompt has no reference."""
    return not prompt.reference.strip() and _fault(prompt, verifier).startswith(NO_REFERENCE)


def can_vote(verifier: Verifier) -> bool:
    """Whether it can take one sample's answer as the reference of another."""
    return bool(getattr(verifier, "reference_is_answer", False))


def check_references(
    prompts: Iterable[Prompt],
    total: int,
    verifiers: Mapping[str, Verifier],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    seconds: float = SECONDS,
) -> ReferenceCheck:
    """Check each prompt's reference with its own verifier, for about `seconds`. Raises InputError if all are bad.

    `total` is the number of prompts.
    """
    started = time.monotonic()
    checked = missing = 0
    bad: list[BadReference] = []
    known: dict[str, str] = {}

    def work(prompt: Prompt) -> tuple[Prompt, str]:
        key = content_id(prompt.verifier, prompt.reference, canonical_json(prompt.metadata))
        if key not in known:
            known[key] = _fault(prompt, verifiers[prompt.verifier])
        return prompt, known[key]

    left = iter(prompts)
    with ThreadPoolExecutor(THREADS, "references") as pool:
        while not stopped() and time.monotonic() - started < seconds and (batch := list(islice(left, _AT_ONCE))):
            for prompt, reason in pool.map(work, batch):
                missing += reason.startswith(NO_REFERENCE)
                if reason.startswith(BAD_REFERENCE):
                    bad.append(BadReference(prompt.id, _begin(prompt.text), prompt.reference, reason))
            checked += len(batch)
            on_progress(checked, total)
    found = ReferenceCheck(total, checked, len(bad), missing, tuple(bad[:EXAMPLES]))
    if found.bad == found.prompts:
        first = found.examples[0]
        raise InputError(
            f"prompts: none of the {found.bad:,} references can be read by its verifier, for example "
            f"{_short(first.reference)} of {first.question!r} ({first.reason}); check columns.reference and verifier"
        )
    return found


def check_lines(found: ReferenceCheck) -> Iterator[str]:
    """What a person should know of it; nothing where all is well."""
    if found.missing:
        which = f"{found.missing:,} of {found.prompts:,} prompts have no gold answer"
        yield f"{which}: undecided, unless samples vote (verify.majority)"
    if found.bad:
        shown = "; ".join(
            f"{_short(bad.reference)} of {bad.question!r} ({bad.reason}, prompt {bad.prompt_id})"
            for bad in found.examples
        )
        yield f"{found.bad:,} of {found.prompts:,} references cannot be read and will be undecided: {shown}"
    if found.checked < found.prompts:
        yield f"{found.prompts - found.checked:,} references were not checked, for it took too long"


def _short(text: str) -> str:
    return repr(_begin(text))


def _begin(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else plain[:59] + "…"


def _fault(prompt: Prompt, verifier: Verifier) -> str:
    """The reason of the verdict, where it is about the reference; else ""."""
    for answer in (prompt.reference, OTHER_ANSWER):
        reason = judge(prompt, unsampled_trace(prompt, answer), (verifier,))[0].reason
        if reason.startswith((BAD_REFERENCE, NO_REFERENCE)):
            return reason
    return ""
