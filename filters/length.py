"""Drops traces whose reasoning is too short or too long; a domain may have limits of its own.

The unit is the word, counted alike in every script: a run of letters, digits and their marks is one word; in scripts
written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) each character counts as half a word, since Chinese and
Japanese have about two characters a word.

The 627 chains in `traces/long_reasoning` have 45 to 23,092 words (p1 223, p50 2,632, p90 9,138, p99 19,379), the 2,708
correct solutions in `labelled/math_l5_outputs` 35 to 1,394 (p50 190, p99 560): the defaults drop none of either. They
are there for what is no reasoning at all and for what no trainer's window holds. 210 MB/s a core on those chains, most
of which are too short to have too many words; words are counted at 335 MB/s in ASCII text and 60 in other text.
Does not judge whether the length suits the problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tracemill.core.errors import InputError, nearest
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

LIMITS = ("min_words", "max_words", "max_completion_tokens")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_BETWEEN = re.compile(r"[^\x00-\x7f\w\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff]+")
"""What beyond ASCII is in no word. `\\w` lacks the marks of letters, which are: accents, vowels of Hindi, Arabic, …"""
_IN_WORDS = bytes(ord("a") if chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(128)) + b"a" * 128
"""Bytes of UTF-8: of a word, or between two."""


@dataclass(frozen=True, slots=True)
class Length:
    """Limits on the reasoning in words and on the whole completion in the engine's tokens; None is no limit."""

    min_words: int | None = 5
    max_words: int | None = 32_000
    max_completion_tokens: int | None = None
    domains: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict, hash=False)
    """Other limits for the prompts of a domain: {"code": {"max_words": 20000}}. What one does not name stays."""

    name: ClassVar[str] = "length"
    version: ClassVar[str] = "2"

    def __post_init__(self) -> None:
        self._refuse_nonsense({}, "")
        for domain, limits in self.domains.items():
            for limit in limits:
                if limit not in LIMITS:
                    raise InputError(f"domains.{domain}.{limit}: no such limit{nearest(limit, LIMITS)}")
            self._refuse_nonsense(limits, f"domains.{domain}.")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `too_short` or `too_long`, with the count and the limit as detail."""
        least, most, tokens = self._limits(self.domains.get(prompt.domain, {}))
        text = trace.reasoning
        # what begins with enough words has enough: few texts are counted whole
        if least is not None and count_words(text[: 20 * least]) < least and (words := count_words(text)) < least:
            return self._drop(trace, "too_short", f"{words} words < {least}")
        if most is not None and _possible_words(text) > most and (words := count_words(text)) > most:
            return self._drop(trace, "too_long", f"{words} words > {most}")
        if tokens is not None and trace.completion_tokens > tokens:
            return self._drop(trace, "too_long", f"{trace.completion_tokens} tokens > {tokens}")
        return None

    def _limits(self, own: Mapping[str, int | None]) -> tuple[int | None, int | None, int | None]:
        return (
            own.get("min_words", self.min_words),
            own.get("max_words", self.max_words),
            own.get("max_completion_tokens", self.max_completion_tokens),
        )

    def _refuse_nonsense(self, own: Mapping[str, int | None], where: str) -> None:
        least, most, tokens = self._limits(own)
        for name, limit in zip(LIMITS, (least, most, tokens), strict=True):
            if limit is not None and limit < 0:
                raise InputError(f"{where}{name}: must not be negative, got {limit}")
        if least is not None and most is not None and most < least:
            name = "max_words" if "max_words" in own or not own else "min_words"
            raise InputError(f"{where}{name}: no length is at least {least} and at most {most} words")

    def _drop(self, trace: Trace, reason: str, detail: str) -> Drop:
        return Drop(trace.id, self.name, self.version, reason, detail)


def count_words(text: str) -> int:
    """Words in the text; two characters of a script without spaces count as one."""
    unspaced = 0
    if not text.isascii():
        if unspaced := len(_UNSPACED.findall(text)):
            text = _UNSPACED.sub(" ", text)
        text = _BETWEEN.sub(" ", text)
    marked = text.encode().translate(_IN_WORDS)
    return marked.count(b" a") + marked.startswith(b"a") + (unspaced + 1) // 2


def _possible_words(text: str) -> int:
    """At most this many: one to two characters, or three to four where unspaced characters stand between words."""
    return len(text) // 2 + 1 if text.isascii() else len(text) * 3 // 4 + 1


plugin = Length()

EXAMPLES = (
    FilterExample("Six times seven is forty-two, so 42.", None, "right: a short chain"),
    FilterExample("42", "too_short", "wrong: no reasoning to speak of"),
    FilterExample("", "too_short", "wrong: no reasoning at all"),
    FilterExample("a b c d e f", "too_long", "wrong: over the limit", options={"max_words": 5}),
    FilterExample(
        "Six times seven.", None, "right: its domain's own limit", options={"domains": {"test": {"min_words": 3}}}
    ),
    FilterExample(
        "Six times seven.",
        "too_short",
        "wrong: another domain's limit",
        options={"domains": {"code": {"min_words": 3}}},
    ),
    FilterExample("6乘以7等于42,所以答案是四十二", None, "adversarial: Chinese, which has no spaces"),
    FilterExample("... --- ... *** ... !!! ... ???", "too_short", "adversarial: punctuation is no word"),
    FilterExample("word" * 1000, "too_short", "adversarial: one endless word"),
    FilterExample("हिन्दी की किताब", "too_short", "adversarial: marks are in words, and do not end them"),
)
