"""R1's format reward (arXiv 2501.12948, section 2.2.2): did the completion follow the think format it was asked for?

The split of the completion has already found what is wrong (`core.markup`); this only turns it into a verdict. Does
not look at what the chain says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.verdicts import verdict


@dataclass(frozen=True, slots=True)
class Format:
    """CORRECT where the split found no fault, else WRONG with the faults as reason."""

    name: ClassVar[str] = "format"
    version: ClassVar[str] = "1"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's faults; the reference is not used."""
        if trace.faults:
            return verdict(self, trace, Outcome.WRONG, ", ".join(trace.faults))
        return verdict(self, trace, Outcome.CORRECT, "well_formed")


plugin = Format()

EXAMPLES = (
    VerifierExample("42", "", Outcome.CORRECT, "right: no faults"),
    VerifierExample("", "", Outcome.WRONG, "wrong: reasoning never closed", faults=("no_close_tag", "empty_answer")),
    VerifierExample("42", "", Outcome.WRONG, "wrong: cut off by the token limit", faults=("cut_off",)),
    VerifierExample("wrong", "42", Outcome.CORRECT, "adversarial: a wrong answer in the right format"),
    VerifierExample("42", "42", Outcome.WRONG, "adversarial: a right answer in the wrong format", faults=("no_think",)),
)
