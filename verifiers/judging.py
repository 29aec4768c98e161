"""The one boundary between verifiers and the rest: whatever a verifier raises becomes UNDECIDED with a reason.

Measures the time of each verdict. Does not choose verifiers and does not retry. Our own verifiers limit the time of
what they cannot trust themselves; verifiers that others installed are run in a process that can be killed.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from tracemill.core import ids, plugins
from tracemill.core.errors import EngineError
from tracemill.core.markup import markup_named, split
from tracemill.core.types import Item, Outcome, Prompt, Sampling, Trace, Verdict, Verifier
from tracemill.verifiers.verdicts import Undecidable, verdict
from tracemill.verifiers.worker import Pool

BAD_REFERENCE, NO_REFERENCE = "bad_reference", "no_reference"
"""Codes of UNDECIDED: the reference cannot be read; the prompt has none and the verifier needs one."""
REASON_CHARS = 200
"""Longest reason that is kept of an unexpected error."""
THREADS = 2 * (os.cpu_count() or 1)
"""Verdicts made at once by `judge_many`."""
FOREIGN_SECONDS = 10.0
"""CPU time of one verdict of an installed verifier that has no `seconds` of its own."""
CHUNK = 64
"""Most items that a thread takes at a time."""

_foreign = Pool(warm=os.getpid)


def judge(prompt: Prompt, trace: Trace, verifiers: Iterable[Verifier]) -> tuple[Verdict, ...]:
    """One verdict for each verifier, in their order.

    Raises EngineError where the engine of a verifier that asks a model fails, and KeyboardInterrupt and its like.
    """
    return tuple(_judge_one(prompt, trace, verifier) for verifier in verifiers)


def _judge_one(prompt: Prompt, trace: Trace, verifier: Verifier) -> Verdict:
    started = time.perf_counter()
    try:
        result = _verify(verifier, prompt, trace)
    except Undecidable as error:
        result = verdict(verifier, trace, Outcome.UNDECIDED, error.reason)
    except EngineError:
        raise  # the model that judges is gone: that ends the work, and says nothing of this answer
    except Exception as error:  # noqa: BLE001 - the boundary: a verifier's own failure must not become a label
        line = " ".join(f"error: {type(error).__name__}: {error}".split())
        result = verdict(verifier, trace, Outcome.UNDECIDED, line[:REASON_CHARS])
    if result.reason.startswith(BAD_REFERENCE) and not prompt.reference.strip():
        # That there is none is no mistake where samples vote (`verify.majority`), so it has a code of its own.
        result = dataclasses.replace(result, reason=NO_REFERENCE + result.reason.removeprefix(BAD_REFERENCE))
    return dataclasses.replace(result, elapsed_ms=(time.perf_counter() - started) * 1000)


def _verify(verifier: Verifier, prompt: Prompt, trace: Trace) -> Verdict:
    """Our own verifiers guard what may hang or crash; an installed one runs in a process that can be killed."""
    if type(verifier).__module__.startswith("tracemill."):
        return verifier.verify(prompt, trace)
    seconds = float(getattr(verifier, "seconds", FOREIGN_SECONDS))
    result: Verdict = _foreign.call(type(verifier).verify, verifier, prompt, trace, seconds=seconds)
    return result


def judge_many(
    items: Iterable[Item], verifiers: Sequence[Verifier], threads: int = THREADS
) -> list[tuple[Verdict, ...]]:
    """What `judge` says of each item, in their order. Works in any thread, process or Ray actor.

    The threads wait for the processes in which the foreign code runs; what takes no such process is judged at once.
    """
    known = list(items)
    size = max(1, min(CHUNK, len(known) // (2 * threads)))
    chunks = [known[at : at + size] for at in range(0, len(known), size)]
    with ThreadPoolExecutor(threads, "judge") as pool:
        judged = pool.map(lambda chunk: [judge(item.prompt, item.trace, verifiers) for item in chunk], chunks)
        return [verdicts for chunk in judged for verdicts in chunk]


def verify_answer(name: str, answer: str, reference: str, prompt: str, metadata: Mapping[str, Any]) -> Verdict:
    """Judge a model's text, with or without reasoning and tags. Raises InputError for an unknown verifier or format.

    The think format is `metadata["thinking"]`; else `r1` for the format verifier and `native` for all others.
    """
    item = item_of(name, answer, reference, prompt, metadata)
    return judge(item.prompt, item.trace, (plugins.get("verifiers", name),))[0]


def item_of(name: str, answer: str, reference: str, prompt: str, metadata: Mapping[str, Any]) -> Item:
    """A model's text with its question, as the verifier `name` sees it. Raises InputError for an unknown format."""
    thinking = str(metadata.get("thinking", "r1" if name == "format" else "native"))
    parts = split(answer, markup_named(thinking, "metadata.thinking"))
    known = Prompt(ids.prompt_id(prompt, name, reference), prompt, "", name, reference, "verify", metadata)
    return Item(known, unsampled_trace(known, parts.answer, parts.reasoning, parts.faults, thinking))


def unsampled_trace(
    prompt: Prompt, answer: str, reasoning: str = "", faults: tuple[str, ...] = (), thinking: str = "native"
) -> Trace:
    """A trace of an answer that no job sampled, so that it can be judged."""
    return Trace(
        id=ids.content_id("verify", prompt.id, answer),
        prompt_id=prompt.id,
        job_id="verify",
        sample=0,
        model="",
        thinking=thinking,
        reasoning=reasoning,
        answer=answer,
        faults=faults,
        sampling=Sampling(),
        prompt_tokens=0,
        completion_tokens=0,
        finish_reason="stop",
        created_at=datetime.now(UTC),
    )
