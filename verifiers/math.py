"""Is the final answer mathematically equal to the reference?

Fast path, here: the same normalised text; both exact literals (integers, decimals, fractions, mixed numbers), compared
as fractions; both words. Everything else goes to `verifiers.equality` in a killable worker with a deadline.

Covered: numbers, expressions, equations up to a constant factor, inequalities as intervals, intervals and unions,
tuples, vectors, matrices, sets, lists in any order (unless the question asks for an order), a ±, units, percent,
degrees, numbers with a base. UNDECIDED rather than guessed: a rounded decimal against an exact value, another unit,
(1,2) against 1,2 or {1,2}, 3/4x, |x| against x, equations that are no multiples of each other, ellipses, synonyms,
dates and times that are not written alike, "5!" at the end of a sentence, words after a number that may change it.
Not covered: proofs, conversions between units, which unit or precision the question asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers import equality
from tracemill.verifiers.extraction import extract
from tracemill.verifiers.normal_form import exact_number, is_grouped, is_rounding, normalise
from tracemill.verifiers.verdicts import verdict
from tracemill.verifiers.worker import Pool

LONGEST = 2000
"""Longest answer (characters) that is judged; the longest reference of MATH has 159."""

_pool = Pool(warm=equality.warm)
_WORDS = re.compile(r"[A-Za-z][A-Za-z'-]+(?: [A-Za-z'-]+)*")
_ORDER = re.compile(r"\b(?:order(?:ed)?|sequence|ascending|descending|least to greatest|respectively)\b", re.IGNORECASE)
_DATE = re.compile(r"(?<![\w.^{(+*/-])\d{1,4}([-/])\d{1,2}\1\d{1,4}(?![\w.^}*/(+-])|(?<![\w.])\d{1,2}:\d\d(?!\d)")
"""A date or a time of day: digits that a formula would compute."""
_SYNONYMS = ({"yes", "true"}, {"no", "false"})


@dataclass(frozen=True, slots=True)
class Math:
    """Judges the final answer against `Prompt.reference`, both as LaTeX or plain text."""

    seconds: float = 2.0
    """Time limit of one comparison; past it the verdict is UNDECIDED `time_limit`."""

    name: ClassVar[str] = "math"
    version: ClassVar[str] = "2"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's final answer. Raises Undecidable (time limit, dead worker)."""
        found = extract(trace.answer)
        if found.text is None:
            return verdict(self, trace, Outcome.UNPARSED, found.reason)
        if len(found.text) > LONGEST:
            return verdict(self, trace, Outcome.UNDECIDED, "too_long", found.text[:LONGEST])
        if found.text.endswith("!") and not found.marked:
            return verdict(self, trace, Outcome.UNDECIDED, "exclamation", found.text)  # 5 with emphasis, or 120
        reference, answer = normalise(prompt.reference[: LONGEST + 1]), normalise(found.text)
        if not reference or len(prompt.reference) > LONGEST:
            return verdict(self, trace, Outcome.UNDECIDED, "bad_reference", found.text)
        if not answer:
            return verdict(self, trace, Outcome.UNPARSED, "no_answer", found.text)
        outcome, reason = _literal(reference, answer) or _compare(reference, answer, self.seconds)
        if reason == "reordered" and _ORDER.search(prompt.text):
            outcome, reason = Outcome.UNDECIDED, "order"
        return verdict(self, trace, outcome, reason, found.text)


def _literal(reference: str, answer: str) -> tuple[Outcome, str] | None:
    """What can be said by looking at the text; None where it takes a computation."""
    if reference == answer:
        return Outcome.CORRECT, "equal"
    if _DATE.search(reference) or _DATE.search(answer):
        return Outcome.UNDECIDED, "date"
    gold, value = exact_number(reference), exact_number(answer)
    if gold is not None and value is not None:
        if gold == value:
            return Outcome.CORRECT, "equal"
        if is_rounding(reference, value) or is_rounding(answer, gold):
            return Outcome.UNDECIDED, "rounded"
        return Outcome.WRONG, "different"
    if is_grouped(reference) and ("," in answer or ";" in answer):
        return Outcome.UNDECIDED, "separator"
    return _words(reference, answer)


def _words(reference: str, answer: str) -> tuple[Outcome, str] | None:
    """References that are words: even, Evelyn, no solution."""
    gold, value = _plain(reference), _plain(answer)
    if not _is_words(gold, reference):
        return None
    if gold == value:
        return Outcome.CORRECT, "equal"
    if not _is_words(value, answer) or " " in gold or " " in value:
        return Outcome.UNDECIDED, "words"
    if gold.startswith(value) or value.startswith(gold) or {gold, value} in _SYNONYMS or sorted(gold) == sorted(value):
        return Outcome.UNDECIDED, "words"
    return Outcome.WRONG, "different"


def _is_words(plain: str, text: str) -> bool:
    """Words, not a product of variables: in \\text{}, of three letters or more, or yes and no."""
    return _WORDS.fullmatch(plain) is not None and ("\\text{" in text or len(plain) > 2 or plain == "no")


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip('()." ').casefold().split())


@lru_cache(maxsize=8192)
def _compare(reference: str, answer: str, seconds: float) -> tuple[Outcome, str]:
    """Remembered, since the samples of one prompt repeat their answers; failures are not, they raise."""
    outcome, reason = _pool.call(equality.compare, reference, answer, seconds=seconds)
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
    VerifierExample("\\boxed{10\\text{ cm}}", "10\\text{ m}", U, "adversarial: another unit"),
    VerifierExample("\\boxed{1,3,5,\\ldots}", "1,2,\\ldots,n", U, "adversarial: ellipses"),
    VerifierExample("It is 12 or 13", "12", N, "adversarial: two values in prose"),
    VerifierExample("We get 12. So \\boxed{}", "12", N, "adversarial: an empty box after the number"),
    VerifierExample("\\boxed{3} or \\boxed{4}", "4", N, "adversarial: two boxes that differ"),
    VerifierExample("5", "\\frac{1", U, "adversarial: a reference that cannot be read"),
)
