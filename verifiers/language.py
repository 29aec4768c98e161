"""R1's language consistency (arXiv 2501.12948, section 2.3.2): is the chain of thought in one language throughout?

The score is the share of the chain's words that are in the target language, once code and LaTeX are cut out (five words
and more of another script in them count all the same); how it is found is told in `core.languages`. The target is the
option, else `Prompt.metadata["language"]` (a code such as `en`), else the language that the prompt is written in.
Foreign words that stand in the prompt too are quotations, and left out.

UNDECIDED rather than guessed: a target that cannot be told (`no_target`: "Evaluate $x^2$") or is no language
(`bad_target`; not `bad_reference`, since no reference is read), fewer than `ENOUGH` words
(`too_short`), a text with nothing foreign in it that neither detector, asked of the whole, takes for the target
(`unclear`). Not seen: single foreign words in the target's own script, and languages that the detectors confuse
(Danish in a Norwegian chain). Text in a script of its own is seen to the word.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.errors import InputError
from tracemill.core.languages import code_of, consistency, dominant, is_named
from tracemill.core.plugins import VerifierExample
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.verifiers.verdicts import Undecidable, verdict

ENOUGH = 8.0
"""Words of prose below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Language:
    """CORRECT where the share of the target language reaches `min_share`, else WRONG; the share is the score."""

    target: str = "prompt"
    """An ISO 639-1 code such as `en`, or `prompt`: the language of the prompt."""
    min_share: float = 0.99
    """The least share, 0 to 1, that is CORRECT. A sentence in another language is 3 to 5 % of 2 KB."""
    answer: bool = False
    """Judge the answer too, not the reasoning alone."""
    second_opinion: bool = False
    """Ask lingua (extra `languages`) where the language of a short prompt is unclear; 1 s to load, 150 MB."""

    name: ClassVar[str] = "language"
    version: ClassVar[str] = "3"

    def __post_init__(self) -> None:
        if self.target != "prompt" and code_of(self.target) is None:
            raise InputError(f"target: {self.target!r} is no language code: give 'prompt' or a code such as 'en'")
        if not 0 < self.min_share <= 1:
            raise InputError(f"min_share: {self.min_share} is not between 0 and 1")

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        """Judge the trace's reasoning. Raises Undecidable."""
        target = self._target(prompt)
        text = f"{trace.reasoning}\n\n{trace.answer}" if self.answer else trace.reasoning
        found = consistency(text, target, prompt.text)
        if found.words < ENOUGH:
            raise Undecidable("too_short")
        described = found.described(target)
        if found.share >= self.min_share:
            if not is_named(text, target):
                raise Undecidable("unclear")
            return verdict(self, trace, Outcome.CORRECT, f"consistent: {described}", score=found.share)
        reason = "wrong_language" if found.share < 0.5 else "mixed_language"
        return verdict(self, trace, Outcome.WRONG, f"{reason}: {described}", score=found.share)

    def _target(self, prompt: Prompt) -> str:
        """The code of the language that the chain is to be in."""
        stated = prompt.metadata.get("language") if self.target == "prompt" else self.target
        if stated is not None:
            if (code := code_of(stated)) is None:
                raise Undecidable("bad_target: metadata.language is no language code")
            return code
        if (detected := _detected(prompt.text, self.second_opinion)) is None:
            raise Undecidable("no_target")
        return detected


@lru_cache(maxsize=4096)
def _detected(text: str, second_opinion: bool) -> str | None:
    """Remembered, since a prompt has many traces."""
    found = dominant(text, second_opinion=second_opinion)
    return found[0] if found else None


plugin = Language()

R, W, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNDECIDED
_ENGLISH = "First we count the eggs that the ducks lay each day, then we take away those that were eaten at breakfast. "
_GERMAN = "Zuerst zählen wir die Eier, die jeden Tag gelegt werden, und ziehen dann die gegessenen wieder davon ab. "
_CHINESE = "首先我们计算鸭子每天下的蛋,然后减去早餐吃掉的那些,剩下的都卖掉。"
_JAPANESE = "まず、アヒルが毎日産む卵を数えて、それから朝食に食べた分を引きます。"
_QUESTION = "How many eggs are left when the ducks have laid sixteen of them and three were eaten?"
_CODE = "```python\nfor egg in eggs:\n    if egg.eaten:\n        continue\n    total_number_of_eggs += 1\n```\n"
_LATEX = "$$\\frac{a}{b} = \\sum_{i=1}^{n} x_i \\text{, où } x_i \\text{ est le nombre des œufs}$$ "
_EN = {"language": "en"}


def _row(
    reasoning: str, outcome: Outcome, why: str, prompt: str = _QUESTION, metadata: dict[str, str] | None = None
) -> VerifierExample:
    return VerifierExample("42", "", outcome, why, prompt, metadata or {}, reasoning)


EXAMPLES = (
    _row(_ENGLISH * 3, R, "right: English to an English prompt"),
    _row(_CHINESE * 3, R, "right: Chinese to a Chinese prompt", _CHINESE),
    _row(_JAPANESE * 3, R, "right: Japanese, Han letters and kana", _JAPANESE),
    _row(_ENGLISH * 3, R, "right: the language that the metadata asks for", _CHINESE, _EN),
    _row(_CODE + _ENGLISH * 3 + _LATEX + _CODE, R, "right: code, and LaTeX with French in it, are no prose"),
    _row(_CHINESE * 3, W, "wrong: Chinese to an English prompt"),
    _row(_GERMAN * 3, W, "wrong: German, in the same script"),
    _row(_ENGLISH * 10 + _GERMAN + _ENGLISH * 10, W, "wrong: one German sentence of twenty-one"),
    _row(_ENGLISH * 10 + _CHINESE, W, "wrong: one Chinese sentence of eleven"),
    _row(_JAPANESE * 2 + _CHINESE * 2, W, "wrong: Chinese sentences in a Japanese chain", _JAPANESE),
    _row(_CHINESE * 3, W, "wrong: Chinese where the metadata asks for English", "还剩多少个鸡蛋可以卖?", _EN),
    _row("```\n" + _CHINESE * 3 + _ENGLISH, W, "adversarial: foreign text behind a fence that is never closed"),
    _row(_ENGLISH * 3 + f"${_CHINESE * 5}$", W, "adversarial: foreign text as a formula"),
    _row(_ENGLISH * 3 + "$v = \\frac{路}{时}$ and `π`", R, "adversarial: single foreign letters as variables"),
    _row(_ENGLISH * 2 + "\\(" + _GERMAN * 2, W, "adversarial: foreign text behind an unclosed \\("),
    _row("Fill the jug. Pour from the 5L jug into the 3L jug. " * 5, R, "adversarial: French to fastText alone"),
    _row(
        _ENGLISH * 2 + "They say 你好.", R, "adversarial: quoted from the prompt", "What do they say? Is it 你好?", _EN
    ),
    _row(_ENGLISH * 2 + "β + γ = αβγ, Δx → 0 " * 5, R, "adversarial: Greek letters as variables"),
    _row(_ENGLISH * 3, U, "adversarial: a prompt without a language", "6 * 7 = ?"),
    _row(_CODE * 5, U, "adversarial: nothing but code"),
    _row("6 * 7 = 42, ok", U, "adversarial: too little text to tell"),
    _row(
        _ENGLISH * 3, U, "adversarial: metadata.language is a programming language", _QUESTION, {"language": "python"}
    ),
)
