r"""Another reference that a judge is asked about: the same kind of text as the real one, and another answer.

Digits become other digits, each by itself; words become words of the same script (of the same kind, where that is
known: yes and no, days, colours), acronyms and option letters other letters; LaTeX commands, signs, short words and
units stay.
`math` and `exact` must both call it wrong against the real reference: \frac{3}{3} is none for \frac{5}{5}. Where one of
them cannot read the two it must at least not be called right; where nothing can be changed (∞), it is a number.

It is not always plausible: "river" may stand for a person, and 48 for a month. A decoy that is unlikely gives an answer
no hold, since the answer sees neither it nor the reference; and one that means the same after all makes a right answer
UNDECIDED, never a wrong one right.
"""

from __future__ import annotations

import re
import unicodedata
from random import Random

from tracemill.core.scripts import LATIN, SCRIPTS
from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers import exact, math
from tracemill.verifiers.judging import BAD_REFERENCE, item_of, judge

TRIES = 8

_KINDS = tuple(
    tuple(line.split())
    for line in (
        "yes no", "true false", "even odd", "positive negative", "increasing decreasing", "left right", "male female",
        "north south east west", "spring summer autumn winter", "red blue green yellow black white purple orange",
        "monday tuesday wednesday thursday friday saturday sunday",
        "january february march april june july august september october november december",
        "two three four five six seven eight nine eleven twelve", "да нет", "oui non", "ja nein", "ναι όχι",
        "mercury venus earth mars jupiter saturn uranus neptune", "first second third fourth fifth", "am pm",
    )
)  # fmt: skip
_NAMES = "Lisbon Nairobi Havana Quito Riga Darwin Mozart Kepler Tagore Ankara Hanoi Verdi Curie Oslo"
_NOUNS = "lantern river copper harbour violin meadow basket pepper marble island ribbon saddle orchard"
_WORDS = {
    "Cyrillic": "Самара Казань Одесса Варна Скопье Минск",
    "Han": "上海 广州 杭州 成都 重庆 河流 桥梁 苹果",
    "Kana": "さくら みなと かえる つくえ ゆき",
    "Hangul": "부산 대구 인천 제주 사과 바다",
    "Greek": "Πάτρα Σπάρτη Κρήτη Ρόδος Κόρινθος",
    "Arabic": "بغداد دمشق تونس نهر جسر",
    "Hebrew": "חיפה אילת נהר גשר תפוח",
    "Devanagari": "जयपुर पुणे नदी पुल सेब",
    "Thai": "ภูเก็ต ลำปาง แม่น้ำ สะพาน",
}
"""Words by script; scripts that are not here are left as they are."""
_FAMILIES = ("⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉", "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", "①②③④⑤⑥⑦⑧⑨", "ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ")
_HAN_NUMBERS, _GREEK_LETTERS, _OPTIONS = "一二三四五六七八九十", "αβγδλμρσφω", "ABCDE"
_UPPER, _LOWER = "ABCDEFGHJKLMNPQRSTUVWXYZ", "abckmnpqrtuvwxyz"
_KEPT = ("that", "this", "with", "from", "into", "which", "when", "than", "then", "because")
_SHORT = 3  # letters of cm, sin, of, the

_SYMBOL = re.compile(r"\\(?!infty|emptyset|varnothing)[a-z]+")  # two infinities are one
_CLASSES = {"Latin": LATIN.letters_class} | {name: SCRIPTS[name].letters_class for name in _WORDS}
_TOKEN = re.compile(
    rf"\\(?:begin|end)\{{[A-Za-z]+\*?\}}|\\[A-Za-z]+|(?P<digit>\d)|(?P<sign>[{''.join(_FAMILIES)}])|"
    + "|".join(rf"(?P<{name}>(?:(?!\d)[{letters}])+)" for name, letters in _CLASSES.items())
)


def decoy(reference: str, seed: str) -> str:
    """Another reference; the same one for the same seed."""
    random = Random(seed)
    unsure = None
    for _ in range(TRIES):
        other = _like(reference, random)
        if _is_shifted(reference, other) or sorted(other) == sorted(reference):
            continue  # of an anagram too: AC and CA are the same options
        by_math, by_exact = _compared(reference, other)
        if by_math.outcome is by_exact.outcome is Outcome.WRONG:
            return other
        if by_math.outcome is not Outcome.CORRECT and _differs(by_exact):
            unsure = other
            if by_math.reason.startswith((BAD_REFERENCE, "time_limit")):
                break  # another try would say no more
    return unsure or str(random.randrange(1000, 10_000))


def _is_shifted(reference: str, other: str) -> bool:
    """Whether equal digits became equal digits, where there are any: 3=3 and 9=9 say the same."""
    here, there = ([one for one in text if one.isdigit()] for text in (reference, other))
    return len(set(here)) < len(here) and [*map(here.index, here)] == [*map(there.index, there)]


def _differs(by_exact: Verdict) -> bool:
    """Whether the texts differ; where the reference is one that `exact` cannot read, they do by how they were made."""
    return by_exact.outcome is Outcome.WRONG or by_exact.reason.startswith(BAD_REFERENCE)


def _compared(reference: str, other: str) -> tuple[Verdict, ...]:
    """What `math` and `exact` say of the decoy as an answer. A box keeps "or" and line breaks from deciding."""
    item = item_of("math", f"\\boxed{{{other}}}", reference, "", {})
    return judge(item.prompt, item.trace, (math.plugin, exact.plugin))


def _like(reference: str, random: Random) -> str:
    """The reference with other digits and words; a number, or a LaTeX symbol times one, where it has none."""
    tokens = list(_TOKEN.finditer(reference))
    bare = not any(_is_word(match) or match.lastgroup in ("digit", "sign") for match in tokens)

    def changed(match: re.Match[str]) -> str:
        one, kind = match[0], match.lastgroup
        if kind is None:
            return one
        if kind == "digit":
            return _digit(one, _is_leading_zero(match), random)
        if kind == "sign":
            return _another(one, next(family for family in _FAMILIES if one in family), random)
        if kind in ("Latin", "Greek"):
            return _word(one, kind, random) if bare or _is_word(match) else one
        return _word(one, kind, random)

    other = _TOKEN.sub(changed, reference)
    if other != reference:
        return other
    number = random.randint(2, 9)
    return f"{number}{reference}" if _SYMBOL.fullmatch(reference) else str(1000 * number + random.randrange(1000))


def _is_word(match: re.Match[str]) -> bool:
    """A word, an acronym or an option, not a variable or a unit, an article or a sine. In another script, any."""
    one, kind = match[0], match.lastgroup
    if kind == "Greek":
        return len(one) > _SHORT
    if kind == "Latin":
        is_long = len(one) > _SHORT or (len(one) > 1 and one.isupper())
        return (is_long and one.casefold() not in _KEPT) or _kind_of(one) is not None
    return kind in _WORDS


def _is_leading_zero(match: re.Match[str]) -> bool:
    """The 0 of 0.5 stays, else the value would no longer be a share."""
    return match[0] == "0" and bool(re.match(r"[.,]\d*[1-9]", match.string[match.end() : match.end() + 40]))


def _digit(one: str, stays: bool, random: Random) -> str:
    """Another digit of the same script. Not 0, which may not begin a number or stand under a fraction bar."""
    if stays:
        return one
    value = unicodedata.digit(one)
    zero = ord(one) - value
    return chr(zero + random.choice([other for other in range(1, 10) if other != value]))


def _word(one: str, script: str, random: Random) -> str:
    kind = _kind_of(one)
    if kind is not None:
        return _cased(random.choice([other for other in kind if other != one.casefold()]), one)
    if script == "Latin":
        return _latin(one, random)
    if script == "Greek" and len(one) <= _SHORT:
        return "".join(_another(letter, _GREEK_LETTERS, random) for letter in one)
    if script == "Han" and set(one) <= set(_HAN_NUMBERS):
        return "".join(_another(letter, _HAN_NUMBERS, random) for letter in one)
    words = [other for other in _WORDS[script].split() if other not in one]
    if not SCRIPTS[script].letters:
        return _cased(random.choice(words), one)
    return "".join(random.choices(words, k=len(one)))[: len(one)]  # no spaces: a run may be a sentence


def _latin(one: str, random: Random) -> str:
    if one.isupper():
        letters = _OPTIONS if set(one) <= set(_OPTIONS) else _UPPER
        return "".join(_another(letter, letters, random) for letter in one)
    if len(one) == 1:
        return _another(one, _LOWER, random)
    words = _NAMES if one[0].isupper() else _NOUNS
    return random.choice([other for other in words.split() if other.casefold() != one.casefold()])


def _kind_of(one: str) -> tuple[str, ...] | None:
    return next((kind for kind in _KINDS if one.casefold() in kind), None)


def _another(one: str, of: str, random: Random) -> str:
    return random.choice([other for other in of if other != one])


def _cased(word: str, like: str) -> str:
    """The word in upper, lower or title case, as the other one is."""
    if like.isupper():
        return word.upper()
    return word.title() if like[:1].isupper() else word.lower()
