"""R1's format reward (arXiv 2501.12948, section 2.2.2): did the completion follow the think format it was asked for?

Every tag once, in order, with nothing outside and something inside; no control token and no mangled tag in the text;
not cut off by the token limit. What "nothing outside" means:

- `r1`, `r1_zero`: nothing but white space before <think>, between </think> and <answer>, and after </answer>.
- `boxed`: nothing before <think>. All that follows </think> is the answer: prose around the box is allowed, and there
  must be a \\boxed{}, every one of them closed and not empty.
- `native`: nothing before <think>. All that follows </think> is the answer, <answer> tags included.

A tag that the chain only quotes counts too, as it does for whoever splits the text by tags. The split of the completion
has already found what is wrong (`core.markup.FAULTS` says what each code means); this only turns it into a verdict.
Does not look at what the chain says.
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
    VerifierExample(
        "Note: <answer>42</answer>", "", Outcome.WRONG, "wrong: text outside the tags", faults=("text_outside",)
    ),
    VerifierExample("wrong", "42", Outcome.CORRECT, "adversarial: a wrong answer in the right format"),
    VerifierExample("42", "42", Outcome.WRONG, "adversarial: a right answer in the wrong format", faults=("no_think",)),
)
