"""Drops traces whose reasoning is too short or too long.

The unit is the word, counted alike in every script: a run of letters or digits is one word; in scripts written without
spaces (Han, kana, Thai, Lao, Khmer, Burmese) each character counts as half a word, since Chinese and Japanese have
about two characters a word. Does not judge whether the length suits the problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Length:
    """Limits on the reasoning in words and on the whole completion in the engine's tokens; None is no limit."""

    min_words: int | None = 5
    max_words: int | None = 32_000
    max_completion_tokens: int | None = None

    name: ClassVar[str] = "length"
    version: ClassVar[str] = "1"

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `too_short` or `too_long`, with the count and the limit as detail."""
        words = count_words(trace.reasoning)
        if self.min_words is not None and words < self.min_words:
            return self._drop(trace, "too_short", f"{words} words < {self.min_words}")
        if self.max_words is not None and words > self.max_words:
            return self._drop(trace, "too_long", f"{words} words > {self.max_words}")
        limit = self.max_completion_tokens
        if limit is not None and trace.completion_tokens > limit:
            return self._drop(trace, "too_long", f"{trace.completion_tokens} tokens > {limit}")
        return None

    def _drop(self, trace: Trace, reason: str, detail: str) -> Drop:
        return Drop(trace.id, self.name, self.version, reason, detail)


def count_words(text: str) -> int:
    """Words in the text; two characters of a script without spaces count as one."""
    unspaced = len(_UNSPACED.findall(text))
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + (unspaced + 1) // 2


plugin = Length()

EXAMPLES = (
    FilterExample("Six times seven is forty-two, so 42.", None, "right: a short chain"),
    FilterExample("42", "too_short", "wrong: no reasoning to speak of"),
    FilterExample("", "too_short", "wrong: no reasoning at all"),
    FilterExample("a b c d e f", "too_long", "wrong: over the limit", options={"max_words": 5}),
    FilterExample("6乘以7等于42,所以答案是四十二", None, "adversarial: Chinese, which has no spaces"),
    FilterExample("... --- ... *** ... !!! ... ???", "too_short", "adversarial: punctuation is no word"),
    FilterExample("word" * 1000, "too_short", "adversarial: one endless word"),
)
