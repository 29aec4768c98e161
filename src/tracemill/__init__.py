"""tracemill: a factory for verified reasoning data. `tracemill.verify("math", answer, reference)` is the one-line way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracemill.core.types import Verdict

__version__ = "0.1.0"


def verify(
    verifier: str, answer: str, reference: str, prompt: str = "", metadata: Mapping[str, Any] | None = None
) -> Verdict:
    """Judge one answer. Never raises for what the answer holds: what cannot be judged is UNDECIDED, with a reason.

    `answer` is the model's text (with or without its reasoning and tags); `metadata` is what the verifier needs beyond
    the reference, for example `{"task": "chain_sum"}` for reasoning_gym. Raises InputError for an unknown verifier.
    """
    from tracemill.verifiers.judging import verify_answer

    return verify_answer(verifier, answer, reference, prompt, metadata or {})
