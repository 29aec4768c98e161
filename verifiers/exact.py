"""Is the final answer the reference, letter for letter after a written-down normalisation? Any script.

The same: case (see `case`; Maße is not Masse), full-width and other compatibility forms (Unicode NFKC, but 2⁵ is not
25), the minus sign and the hyphen, runs of white space, pairs of quotation marks and of * or ` around the text, a full
stop, comma, colon or semicolon at its end, \\text{} and $ around it. Not the same: other words, order, numbers written
otherwise (5.0 is not 5), translations, a mark without its partner (5' is not 5"). UNDECIDED `spelling`: a difference of
accents, of ß and ss, of invisible characters, of a leading article, of ! or ?, of the kind of dash, of _ or * at the
ends, of raised and lowered signs (H₂O and H2O, ½ and 1/2), or of punctuation between letters alone. UNDECIDED
`in_prose`: an unmarked sentence that holds the reference and more. UNDECIDED `second_thought`: the text goes back on
the answer after it ("Actually, …").

A reference that is a JSON list of texts accepts each of them. The answer is the whole text where that is the reference,
else what `extraction` finds. Not covered: aliases that the reference does not list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.extraction import extract, tagged, takes_back
from tracemill.verifiers.normal_text import fold, holds, near
from tracemill.verifiers.retractions import is_reconsidered
from tracemill.verifiers.verdicts import Undecidable, verdict

LONGEST = 20_000
"""Longest reference or answer (characters) that is compared."""


@dataclass(frozen=True, slots=True)
class Exact:
    """Judges the final answer by equality of text with `Prompt.reference`."""

    case: bool = False
    """Whether case counts: Polish and polish then differ."""

    name: ClassVar[str] = "exact"
    version: ClassVar[str] = "2"
    reference_is_answer: ClassVar[bool] = True

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's final answer. Raises Undecidable."""
        accepted = _accepted(prompt.reference, self.case)
        whole = tagged(trace.answer).strip()
        if not whole:
            return verdict(self, trace, Outcome.UNPARSED, "no_answer")
        if takes_back(trace.answer):
            return verdict(self, trace, Outcome.UNPARSED, "several_answers")
        if len(whole) <= LONGEST and fold(whole, self.case) in accepted:
            return verdict(self, trace, Outcome.CORRECT, "equal", whole)
        found = extract(trace.answer)
        if found.text is None:
            return verdict(self, trace, Outcome.UNPARSED, found.reason)
        if len(found.text) > LONGEST:
            raise Undecidable("too_long")
        if is_reconsidered(trace.answer, found.text):
            raise Undecidable("second_thought")
        outcome, reason = self._compare(found.text, accepted, None if found.marked else whole)
        if outcome is Outcome.CORRECT and not found.marked and _is_cut_out_of_marks(found.text, whole):
            raise Undecidable("spelling")
        return verdict(self, trace, outcome, reason, found.text)

    def _compare(self, text: str, accepted: Sequence[str], prose: str | None) -> tuple[Outcome, str]:
        value = fold(text, self.case)
        if not value:
            return Outcome.UNPARSED, "no_answer"
        if value in accepted:
            return Outcome.CORRECT, "equal"
        if self.case and fold(value) in {fold(one) for one in accepted}:
            return Outcome.WRONG, "case"
        if near(text) in {near(one) for one in accepted}:
            return Outcome.UNDECIDED, "spelling"
        if prose is not None and any(holds(prose[:LONGEST], one) for one in accepted):
            return Outcome.UNDECIDED, "in_prose"
        return Outcome.WRONG, "different"


def _is_cut_out_of_marks(text: str, whole: str) -> bool:
    """Whether marks that may belong to the text stand beside it in its sentence: "the answer is __init__", "is C*"."""
    for before, after in re.findall(rf"([*_`]{{0,4}}){re.escape(text)}([*_`]{{0,4}})", whole):
        opened_earlier = (before, after) == ("", "**") and whole.count("**") % 2 == 0  # **Answer: Paris**
        if "_" in before + after or (before != after and not opened_earlier):
            return True
    return False


@lru_cache(maxsize=4096)
def _accepted(reference: str, case: bool) -> tuple[str, ...]:
    """The folded texts that a reference accepts. Raises Undecidable."""
    if len(reference) > LONGEST:
        raise Undecidable("bad_reference: too long")
    texts = [reference]
    if reference.lstrip().startswith("["):
        try:
            listed = json.loads(reference)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list) and any(isinstance(one, str) for one in listed):
            if not all(isinstance(one, str) for one in listed):
                raise Undecidable("bad_reference: a list of accepted answers must hold texts only")
            texts = listed
    folded = tuple(dict.fromkeys(fold(text, case) for text in texts))
    if not all(folded):
        raise Undecidable("bad_reference: empty")
    return folded


plugin = Exact()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
EXAMPLES = (
    VerifierExample("The answer is Paris.", "Paris", R, "right: said in a sentence"),
    VerifierExample("\\boxed{\\text{Paris}}", "paris", R, "right: in a box, another case"),
    VerifierExample("«Москва»", "москва", R, "right: Cyrillic in quotation marks"),
    VerifierExample("Ｔｏｋｙｏ", "Tokyo", R, "right: full-width letters"),
    VerifierExample("UK", '["United Kingdom", "UK"]', R, "right: one of the accepted answers"),
    VerifierExample("To be or not to be", "to be or not to be", R, "right: 'or' in the reference itself"),
    VerifierExample("London", "Paris", W, "wrong: another word"),
    VerifierExample("5.0", "5", W, "wrong: a number written otherwise"),
    VerifierExample("-5", "5", W, "wrong: a sign is no punctuation"),
    VerifierExample("2⁵", "25", W, "adversarial: NFKC would make it 25"),
    VerifierExample("5'", '5"', W, "adversarial: feet are no inches"),
    VerifierExample("−5", "-5", R, "adversarial: the minus sign of Unicode"),
    VerifierExample("__init__", "init", U, "adversarial: underscores that are no emphasis"),
    VerifierExample("H2O", "H₂O", U, "adversarial: a lowered figure"),
    VerifierExample("Maße", "Masse", U, "adversarial: two words that are one in capitals"),
    VerifierExample("Beyonce", "Beyoncé", U, "adversarial: an accent alone"),
    VerifierExample("pay\u200bpal", "paypal", U, "adversarial: an invisible character"),
    VerifierExample("Who", "The Who", U, "adversarial: an article alone"),
    VerifierExample("It is not Paris", "Paris", U, "adversarial: a denial in prose"),
    VerifierExample("Paris or London", "Paris", N, "adversarial: two answers"),
    VerifierExample('["Paris", "London"]', '["Paris", "London"]', U, "adversarial: the list of references itself"),
    VerifierExample("Paris", '["Paris", 1]', U, "adversarial: a reference that is half a list"),
)
