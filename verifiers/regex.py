"""Does the final answer match the reference, a regular expression in Python's `re` syntax?

The whole answer must match, white space at its ends aside; with `search` a part of it. What is matched is the answer
that `extraction` finds, else the text between the answer tags, or all of it. Flags stand in the pattern: (?i), (?s). A
pattern that does not compile, or is empty, is a bad reference; one that takes too long on an answer (a nested
repetition) is killed: UNDECIDED `time_limit`. An unmarked sentence that does not match as found, but of which a part
does, is UNDECIDED `in_prose`; an answer that the text goes back on ("Actually, …") is UNDECIDED `second_thought`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers import matching
from tracemill.verifiers.extraction import extract, finals, tagged, takes_back
from tracemill.verifiers.retractions import is_reconsidered
from tracemill.verifiers.verdicts import Undecidable, verdict
from tracemill.verifiers.worker import Pool

LONGEST_PATTERN = 10_000
LONGEST = 100_000
"""Longest answer (characters) that is matched."""
EXTRACTED = 2000
"""Longest part of the answer that is kept in the verdict."""

_pool = Pool(warm=matching.warm)


@dataclass(frozen=True, slots=True)
class Regex:
    """Judges the final answer by the pattern in `Prompt.reference`."""

    search: bool = False
    """Whether a match within the answer is enough."""
    seconds: float = 1.0
    """Time limit of one match; past it the verdict is UNDECIDED `time_limit`."""

    name: ClassVar[str] = "regex"
    version: ClassVar[str] = "2"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's final answer. Raises Undecidable."""
        pattern = prompt.reference
        if not pattern.strip() or len(pattern) > LONGEST_PATTERN:
            raise Undecidable("bad_reference: an empty pattern" if not pattern.strip() else "bad_reference: too long")
        _check(pattern, self.seconds)
        if len(trace.answer) > LONGEST:
            raise Undecidable("too_long")
        found = extract(trace.answer)
        text, marked = found.text, found.marked
        if text is None:
            text = tagged(trace.answer).strip()
            if found.reason.endswith("_box") or finals(trace.answer) or takes_back(trace.answer) or not text:
                return verdict(self, trace, Outcome.UNPARSED, found.reason)
            marked = True
        if is_reconsidered(trace.answer, text):
            raise Undecidable("second_thought")
        marked = marked or (not finals(trace.answer) and len(text.split()) == 1)  # one word, not cut out of a sentence
        kept = text[:EXTRACTED]
        if self._matches(pattern, text, self.search):
            return verdict(self, trace, Outcome.CORRECT, "match", kept)
        if not marked and self._matches(pattern, tagged(trace.answer), True):
            return verdict(self, trace, Outcome.UNDECIDED, "in_prose", kept)
        return verdict(self, trace, Outcome.WRONG, "no_match", kept)

    def _matches(self, pattern: str, text: str, search: bool) -> bool:
        return bool(_pool.call(matching.matches, pattern, text, search, seconds=self.seconds))


@lru_cache(maxsize=1024)
def _check(pattern: str, seconds: float) -> bool:
    """Raises Undecidable for a pattern that does not compile, or not in time."""
    return bool(_pool.call(matching.check, pattern, seconds=seconds))


plugin = Regex()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
EXAMPLES = (
    VerifierExample("AB-1234", r"[A-Z]{2}-\d{4}", R, "right: the whole answer"),
    VerifierExample("The answer is \\boxed{2024-05-01}.", r"\d{4}-\d\d-\d\d", R, "right: in a box"),
    VerifierExample("Yes or no", "(?i)yes OR no", R, "right: a flag, and 'or' in the answer"),
    VerifierExample("one\ntwo", r"(?s)one.*two", R, "right: several lines"),
    VerifierExample("AB-12345", r"[A-Z]{2}-\d{4}", W, "wrong: more than the pattern"),
    VerifierExample("\\boxed{AB-12345}", r"[A-Z]{2}-\d{4}", W, "wrong: more than the pattern, in a box"),
    VerifierExample("It is AB-1234, I think", r"[A-Z]{2}-\d{4}", U, "adversarial: a match inside a sentence"),
    VerifierExample("The answer is ab. Actually, cd.", "ab", U, "adversarial: taken back"),
    VerifierExample("ab", r"[A-Z]{2}", W, "wrong: another case"),
    VerifierExample("a" * 60 + "!", r"(a+)+$", U, "adversarial: a pattern that backtracks for ever"),
    VerifierExample("a", "(a", U, "adversarial: a pattern that does not compile"),
    VerifierExample("a", "", U, "adversarial: no pattern"),
    VerifierExample("\\boxed{a} \\boxed{b}", "[ab]", N, "adversarial: two answers"),
)
