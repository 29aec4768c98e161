"""Drops chains that are not, or not throughout, in one language: R1's readability rule (arXiv 2501.12948).

The measure is that of the language verifier (`core.languages`): the share of the words, without code and LaTeX, that
are in the target language. The filter is the milder of the two: a chain with a foreign sentence in it stays, and where
the target or the language cannot be told, nothing is dropped. The target is the option, else the language that
`Prompt.metadata["language"]` names, else that of the prompt's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from tracemill.core.errors import InputError
from tracemill.core.languages import code_of, consistency, dominant
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

ENOUGH = 8.0
"""Words of prose below which nothing is decided."""


@dataclass(frozen=True, slots=True)
class Language:
    """The least share of the reasoning's words, 0 to 1, that must be in the target language."""

    target: str = "prompt"
    """An ISO 639-1 code such as `en`, or `prompt`: the language of the prompt."""
    min_share: float = 0.9

    name: ClassVar[str] = "language"
    version: ClassVar[str] = "4"

    def __post_init__(self) -> None:
        if self.target != "prompt" and code_of(self.target) is None:
            raise InputError(f"target: {self.target!r} is no language code: give 'prompt' or a code such as 'en'")
        if not 0 < self.min_share <= 1:
            raise InputError(f"min_share: {self.min_share} is not between 0 and 1")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `wrong_language` (less than half in the target language) or `mixed_language`."""
        stated = prompt.metadata.get("language") if self.target == "prompt" else self.target
        target = code_of(stated) or _detected(prompt.text)
        if target is None:
            return None
        found = consistency(trace.reasoning, target, prompt.text, enough=self.min_share)
        if found.words < ENOUGH or found.share >= self.min_share:
            return None
        reason = "wrong_language" if found.share < 0.5 else "mixed_language"
        return Drop(trace.id, self.name, self.version, reason, found.described(target))


@lru_cache(maxsize=4096)
def _detected(text: str) -> str | None:
    """Remembered, since a prompt has many traces."""
    found = dominant(text)
    return found[0] if found else None


plugin = Language()

_ENGLISH = "First we count the eggs that the ducks lay each day, then we take away those that were eaten at breakfast. "
_CHINESE = "首先我们计算鸭子每天下的蛋,然后减去早餐吃掉的那些,剩下的都卖掉。"
_GERMAN = "Zuerst zählen wir die Eier, die jeden Tag gelegt werden, und ziehen dann die gegessenen wieder davon ab. "
_QUESTION = "How many eggs are left when the ducks have laid sixteen of them and three were eaten?"
_CODE = "```python\nfor egg in eggs:\n    if egg.eaten:\n        continue\n    total_number_of_eggs += 1\n```\n"
EXAMPLES = (
    FilterExample(_ENGLISH * 3, None, "right: English to an English prompt", prompt=_QUESTION),
    FilterExample(_CHINESE * 3, None, "right: Chinese to a Chinese prompt", prompt=_CHINESE),
    FilterExample(_ENGLISH * 3, None, "right: the language asked for", prompt=_CHINESE, options={"target": "en"}),
    FilterExample(_CHINESE * 3, "wrong_language", "wrong: Chinese to an English prompt", prompt=_QUESTION),
    FilterExample(_GERMAN * 3, "wrong_language", "wrong: German, in the same script", prompt=_QUESTION),
    FilterExample(_ENGLISH * 8 + _CHINESE * 4, "mixed_language", "wrong: four Chinese sentences", prompt=_QUESTION),
    FilterExample(_ENGLISH * 30 + _GERMAN * 10, "mixed_language", "wrong: goes on in German", prompt=_QUESTION),
    FilterExample(_CODE * 5, None, "adversarial: nothing but code", prompt=_QUESTION),
    FilterExample("$$\\frac{a}{b} = \\sum_{i=1}^{n} x_i$$ " * 9, None, "adversarial: only LaTeX", prompt=_QUESTION),
    FilterExample("6 * 7 = 42, ok", None, "adversarial: too little text to tell", prompt=_QUESTION),
    FilterExample(_ENGLISH + "He said 你好.", None, "adversarial: one quoted word", prompt=_QUESTION),
    FilterExample(_GERMAN * 3, None, "adversarial: a prompt without a language", prompt="6 * 7 = ?"),
)
