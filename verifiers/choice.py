"""Does the answer choose the option that the reference names? Options A to J.

Read as a choice: a letter alone, in brackets, with a full stop or in bold, "option C", "the answer is (C)", a letter
with its option's text, the text alone; several letters ("A, C", "AC", "A and C", in any order). Options come from
`Prompt.metadata["choices"]` (texts in order, texts by letter, or {"label": [...], "text": [...]}), else from the
prompt's text; without them letters alone are judged. The reference is a letter, letters, a JSON list of them, or an
option's text. The article "a" and the pronoun "I" are no choices.

UNPARSED: different letters where one is asked for (`several_answers`), a letter with another option's text
(`contradiction`), nothing that names an option (`no_choice`). UNDECIDED: a text that two options share
(`duplicate_options`), a letter that is another option's text (`letter_or_text`), a denial (`negation`), a text where no
options are known (`no_options`), a letter with a text that is no option (`other_text`), prose that only mentions an
option (`mentions_option`), a sentence that says more of a letter than that it is chosen (`in_sentence`: "some say B"),
a second thought after the answer (`second_thought`). Not covered: partial credit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.choosing import Unclear, chosen, letters_of
from tracemill.verifiers.extraction import extract, takes_back
from tracemill.verifiers.options import LETTERS, letters_with, options_of
from tracemill.verifiers.verdicts import Undecidable, verdict

LONGEST = 100_000
"""Longest answer (characters) that is judged."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Judges the chosen letters against those of `Prompt.reference`."""

    name: ClassVar[str] = "choice"
    version: ClassVar[str] = "2"
    reference_is_answer: ClassVar[bool] = True

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's choice. Raises Undecidable."""
        options = options_of(prompt.text, prompt.metadata)
        gold = _gold(prompt.reference, options)
        found = extract(trace.answer[: LONGEST + 1])
        if len(trace.answer) > LONGEST:
            raise Undecidable("too_long")
        if found.reason in ("empty_box", "unclosed_box"):
            return verdict(self, trace, Outcome.UNPARSED, found.reason)
        if takes_back(trace.answer):
            return verdict(self, trace, Outcome.UNPARSED, "several_answers")
        try:
            letters = chosen(trace.answer, options, several=len(gold) > 1)
        except Unclear as error:
            return verdict(self, trace, error.outcome, error.reason)
        if letters == gold:
            return verdict(self, trace, Outcome.CORRECT, "equal", letters)
        if _says_the_same(letters, gold, options):
            return verdict(self, trace, Outcome.UNDECIDED, "duplicate_options", letters)
        return verdict(self, trace, Outcome.WRONG, "different", letters)


def _gold(reference: str, options: Mapping[str, str]) -> str:
    """The reference's letters, in order. Raises Undecidable."""
    text = reference.strip()[:LONGEST]
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
            text = ", ".join(listed)
    letters = letters_of(text)
    if not letters:
        letters = letters_with(text, options)
        if len(letters) > 1:
            raise Undecidable("bad_reference: several options say this")
    if not letters or not set(letters) <= set(options or LETTERS):
        raise Undecidable("bad_reference: it is none of the options")
    return letters


def _says_the_same(letters: str, gold: str, options: Mapping[str, str]) -> bool:
    """Whether the letters differ and the texts do not."""
    here, there = ([letters_with(options.get(letter, ""), options) for letter in group] for group in (letters, gold))
    return bool(options) and len(letters) == len(gold) and sorted(here) == sorted(there)


plugin = Choice()

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
_FOUR = {"choices": ["40", "41", "42", "43"]}
_TWINS = {"choices": ["40", "42", "42", "43"]}
_BLOOD = {"choices": ["AB", "O", "A", "B"]}
_ASKED = "What is 6 times 7?\nA) 40\nB) 41\nC) 42\nD) 43"
EXAMPLES = (
    VerifierExample("C", "C", R, "right: the letter alone"),
    VerifierExample("**(c)**", "C", R, "right: lower case, in brackets and bold"),
    VerifierExample("The answer is \\boxed{\\text{C}}.", "C", R, "right: in a box"),
    VerifierExample("C) 42", "C", R, "right: letter and text", prompt=_ASKED),
    VerifierExample("The answer is 42.", "C", R, "right: the option's text", prompt=_ASKED),
    VerifierExample("I would go with option C.", "C", R, "right: said in a sentence", metadata=_FOUR),
    VerifierExample("C and A", "A, C", R, "right: several letters in any order"),
    VerifierExample("C", "42", R, "right: the reference is an option's text", metadata=_FOUR),
    VerifierExample("B", "C", W, "wrong: another letter"),
    VerifierExample("A", "A, C", W, "wrong: one letter of two"),
    VerifierExample("40", "C", W, "wrong: another option's text", prompt=_ASKED),
    VerifierExample("A dog", "A", U, "adversarial: the article, and no options known"),
    VerifierExample("I think so", "I", U, "adversarial: the pronoun, and no options known"),
    VerifierExample("C. No, wait, it is option B.", "C", N, "adversarial: two letters"),
    VerifierExample("C) 41", "C", N, "adversarial: a letter with another option's text", metadata=_FOUR),
    VerifierExample("C or D", "C", N, "adversarial: a hedge"),
    VerifierExample("Option C is wrong", "C", U, "adversarial: a denial", metadata=_FOUR),
    VerifierExample("Anything besides (C)", "C", U, "adversarial: a denial without a no", metadata=_FOUR),
    VerifierExample("Students often choose C.", "C", U, "adversarial: somebody else's choice", metadata=_FOUR),
    VerifierExample("The answer is 42. Wait, it is 43.", "C", N, "adversarial: taken back in words", metadata=_FOUR),
    VerifierExample("42", "C", U, "adversarial: the text of two options", metadata=_TWINS),
    VerifierExample("B", "C", U, "adversarial: another letter with the same text", metadata=_TWINS),
    VerifierExample("A", "A", U, "adversarial: a letter that is another option's text", metadata=_BLOOD),
    VerifierExample("\\boxed{}", "C", N, "adversarial: an empty box after all"),
    VerifierExample("C", "E", U, "adversarial: a reference that is no option", metadata=_FOUR),
)
