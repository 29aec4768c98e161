"""tracemill: a factory for verified reasoning data. `tracemill.verify("math", answer, reference)` is the one-line way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def verify_many(
    verifier: str,
    answers: Sequence[str],
    references: Sequence[str],
    prompts: Sequence[str] | None = None,
    metadata: Sequence[Mapping[str, Any] | None] | None = None,
) -> list[Verdict]:
    """Judge many answers at once, each as `verify` does; verdicts come in the order of the answers.

    Works the same in any thread, process or Ray actor. Raises InputError where the lists differ in length.
    """
    from tracemill.core import plugins
    from tracemill.core.errors import InputError
    from tracemill.verifiers.judging import item_of, judge_many

    questions, extras = prompts or [""] * len(answers), metadata or [None] * len(answers)
    lengths = {len(answers), len(references), len(questions), len(extras)}
    if len(lengths) > 1:
        raise InputError(f"verify_many: the lists differ in length ({', '.join(map(str, sorted(lengths)))})")
    plugin = plugins.get("verifiers", verifier)
    rows = zip(answers, references, questions, extras, strict=True)
    items = (item_of(verifier, answer, reference, prompt, extra or {}) for answer, reference, prompt, extra in rows)
    return [verdict for (verdict,) in judge_many(items, (plugin,))]
