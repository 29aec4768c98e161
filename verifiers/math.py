"""Is the final answer mathematically equal to the reference?

Fast path, here: the same normalised text; both exact literals (integers, decimals, fractions, mixed numbers), compared
as fractions; both words. Then `verifiers.equality` compares shapes and formulas: here, in bounded time, where our own
grammar reads both; else in a worker process with a deadline, where math-verify's parser may hang.

What counts as equal is written down, with examples that a test runs, in docs/reference/math.md. Nothing is decided
where it takes more than the two answers and the question: a rounded decimal against an exact value, (1,2) against 1,2
or {1,2}, 3/4x, |x| against x, equations that are no multiples of each other, ellipses, words that may be synonyms.
Not covered: proofs, and which precision the question asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers import equality
from tracemill.verifiers.dates import compare_dates, looks_like_date
from tracemill.verifiers.extraction import extract
from tracemill.verifiers.grammar import Outside
from tracemill.verifiers.normal_form import exact_number, is_grouped, is_rounding, normalise, other_readings
from tracemill.verifiers.units import asks_otherwise, is_strange
from tracemill.verifiers.verdicts import Undecidable, verdict
from tracemill.verifiers.words import are_options, are_words, number_word, same_words
from tracemill.verifiers.worker import Pool, TimeLimit

LONGEST = 2000
"""Longest answer (characters) that is judged; the longest reference of MATH has 159."""

SHORT = 300
"""Most characters of both texts that are compared without a deadline; what they may cost is bounded by then."""

_pool = Pool(warm=equality.warm)
_ORDER = re.compile(
    r"(?<!in )\border(?:ed)?\b|\b(?:sequence|ascending|descending|increasing|decreasing|respectively"
    r"|alphabetical(?:ly)?|rank|then|first\b.*\bsecond|(?:least|small|great|larg|high|low|few|most)\w*,? to)\b",
    re.IGNORECASE | re.DOTALL,
)
_DANGLING = re.compile(r"(?:[\^_+*/=<(\[{\\-]|\\(?:frac|sqrt|le|ge|ne|cdot|times))$|\\frac(?![\s{\d\\a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Math:
    """Judges the final answer against `Prompt.reference`, both as LaTeX or plain text."""

    seconds: float = 2.0
    """Time limit of one comparison; past it the verdict is UNDECIDED `time_limit`."""

    name: ClassVar[str] = "math"
    version: ClassVar[str] = "4"
    reference_is_answer: ClassVar[bool] = True

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's final answer. Raises Undecidable (bad reference, time limit, dead worker)."""
        reference = normalise(prompt.reference[: LONGEST + 1])
        if not reference or len(prompt.reference) > LONGEST or _is_broken(reference):
            raise Undecidable("bad_reference")
        found = extract(trace.answer)
        if found.text is None:
            return verdict(self, trace, Outcome.UNPARSED, found.reason)
        if len(found.text) > LONGEST:
            return verdict(self, trace, Outcome.UNDECIDED, "too_long", found.text[:LONGEST])
        if found.text.endswith("!") and not found.marked:
            return verdict(self, trace, Outcome.UNDECIDED, "exclamation", found.text)  # 5 with emphasis, or 120
        answer = normalise(found.text)
        if not answer:
            return verdict(self, trace, Outcome.UNPARSED, "no_answer", found.text)
        outcome, reason = _literal(reference, answer) or _compare(reference, answer, self.seconds)
        if reason == "words" and are_options(prompt.text, reference, answer):
            outcome, reason = Outcome.WRONG, "different"
        outcome, reason = _as_asked(prompt.text, outcome, reason)
        return verdict(self, trace, outcome, reason, found.text)


def _is_broken(reference: str) -> bool:
    """A reference that was cut off: braces that do not close, an operator without its second side."""
    braces = re.sub(r"\\.", "", reference)
    return braces.count("{") != braces.count("}") or _DANGLING.search(reference) is not None


def _literal(reference: str, answer: str) -> tuple[Outcome, str] | None:
    """What can be said by looking at the text; None where it takes a computation."""
    if reference == answer:
        return Outcome.CORRECT, "equal"
    if looks_like_date(reference) or looks_like_date(answer):
        same = compare_dates(reference, answer)
        return (Outcome.UNDECIDED, "date") if same is None else _decided(same)
    gold, value = _number(reference), _number(answer)
    if gold is not None and value is not None:
        if gold != value:
            if is_rounding(reference, value) or is_rounding(answer, gold):
                return Outcome.UNDECIDED, "rounded"
            if gold in other_readings(answer) or value in other_readings(reference):
                return Outcome.UNDECIDED, "separator"
        return _decided(gold == value)
    if is_grouped(reference) and ("," in answer or ";" in answer):
        return Outcome.UNDECIDED, "separator"
    if are_words(reference):
        try:
            return _decided(same_words(reference, answer))
        except Undecidable as error:
            return Outcome.UNDECIDED, error.reason
    return None


def _number(text: str) -> Fraction | None:
    exact = exact_number(text)
    return number_word(text) if exact is None else exact


def _decided(same: bool) -> tuple[Outcome, str]:
    return (Outcome.CORRECT, "equal") if same else (Outcome.WRONG, "different")


def _as_asked(question: str, outcome: Outcome, reason: str) -> tuple[Outcome, str]:
    """What only the question can tell: whether the order matters, and in which unit the answer was to be given."""
    code, _, detail = reason.partition(": ")
    if code == "reordered" and _ORDER.search(question):
        return Outcome.UNDECIDED, "order"
    if detail and code in ("assumed_unit", "different") and is_strange(question, detail):
        return Outcome.UNDECIDED, "unit"
    if code == "assumed_unit" and asks_otherwise(question, detail):
        return Outcome.UNDECIDED, "unit"
    return outcome, reason


@lru_cache(maxsize=8192)
def _compare(reference: str, answer: str, seconds: float) -> tuple[Outcome, str]:
    """Here, where the quick parser can read both; else in a worker.

    Remembered, since the samples of one prompt repeat their answers: also what hangs, but no crash.
    """
    try:
        if len(reference) + len(answer) > SHORT:
            raise Outside
        outcome, reason = equality.compare(reference, answer)
    except Outside:
        try:
            outcome, reason = _pool.call(equality.compare_in_full, reference, answer, seconds=seconds)
        except TimeLimit:
            return Outcome.UNDECIDED, "time_limit"
    return Outcome(outcome), reason


plugin = Math()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
EXAMPLES = (
    VerifierExample("So \\boxed{18}.", "18", R, "right: an integer in a box"),
    VerifierExample("\\boxed{\\frac{1}{2}}", "0.5", R, "right: a fraction for a decimal"),
    VerifierExample("\\boxed{2\\sqrt{2}}", "\\sqrt{8}", R, "right: the same surd"),
    VerifierExample("\\boxed{7.}", "7", R, "right: a trailing full stop in the box"),
    VerifierExample("\\boxed{(1,2)}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", R, "right: a column vector as a tuple"),
    VerifierExample("$-2 \\le x \\le 7$", "[-2,7]", R, "right: an inequality for an interval"),
    VerifierExample("#### 1,234", "1234", R, "right: GSM8K's mark and a thousands separator"),
    VerifierExample("\\boxed{\\text{even}}", "even", R, "right: words"),
    VerifierExample("The answer is 19.", "18", W, "wrong: another integer"),
    VerifierExample("\\boxed{x^2+2x+2}", "(x+1)^2", W, "wrong: another polynomial"),
    VerifierExample("\\boxed{\\frac{1}{2^{98}}}", "\\frac{1}{2^{99}}", W, "adversarial: tiny numbers that differ"),
    VerifierExample("\\boxed{0.0000002}", "0.0000001", W, "adversarial: below a float tolerance"),
    VerifierExample("\\boxed{1+\\frac{1}{e}}", "1-\\frac{1}{e}", W, "adversarial: accepted by math-verify's own suite"),
    VerifierExample("\\boxed{\\{1,2\\}}", "(1,2)", U, "adversarial: a set for a tuple"),
    VerifierExample("\\boxed{10\\text{ cm}}", "10\\text{ m}", W, "adversarial: another unit"),
    VerifierExample("\\boxed{10^{100}}", "10^{100}+1", W, "adversarial: equal to a hundred digits"),
    VerifierExample("\\boxed{1,3,5,\\ldots}", "1,2,\\ldots,n", U, "adversarial: ellipses"),
    VerifierExample("It is 12 or 13", "12", N, "adversarial: two values in prose"),
    VerifierExample("We get 12. So \\boxed{}", "12", N, "adversarial: an empty box after the number"),
    VerifierExample("\\boxed{3} or \\boxed{4}", "4", N, "adversarial: two boxes that differ"),
    VerifierExample("5", "\\frac{1", U, "adversarial: a reference that cannot be read"),
)
