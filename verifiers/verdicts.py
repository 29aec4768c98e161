"""What every verifier needs to speak: building a Verdict, and saying that none can be given.

Knows nothing of how an answer is judged.
"""

from __future__ import annotations

from tracemill.core.types import Outcome, Trace, Verdict, Verifier

SCORES = {Outcome.CORRECT: 1.0, Outcome.WRONG: 0.0, Outcome.UNPARSED: 0.0, Outcome.UNDECIDED: None}


class Undecidable(Exception):
    """No verdict can be given; `reason` is the code that stands in the verdict. The boundary makes it UNDECIDED."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verdict(
    plugin: Verifier,
    trace: Trace,
    outcome: Outcome,
    reason: str,
    extracted: str | None = None,
    score: float | None = None,
) -> Verdict:
    """A verdict of `plugin` on `trace`; the score follows from the outcome unless the verifier has a finer one."""
    final = SCORES[outcome] if score is None else score
    return Verdict(trace.id, plugin.name, plugin.version, outcome, final, reason, extracted)
