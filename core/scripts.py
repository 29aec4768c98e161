"""Words in each writing system, and which languages are written in which: the cheap check, before any detector.

A word is a run of letters; in scripts without spaces it is a number of letters (`Script.letters`). One Latin letter
alone is a variable, and so are up to three Greek ones. Does not tell languages of one script apart.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property


@dataclass(frozen=True)
class Script:
    """One writing system."""

    name: str
    letters_class: str
    """Its letters as the inside of a regex character class."""
    languages: tuple[str, ...]
    """ISO 639-1; the first is what foreign text in it is called where no detector says better."""
    least: int = 1
    """Shortest run of letters that is a word."""
    letters: float = 0.0
    """Letters a word, where words are not separated by spaces; 0 where a run is a word."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(f"[{self.letters_class}]{{{self.least},}}")

    @cached_property
    def letter(self) -> re.Pattern[str]:
        return re.compile(f"[{self.letters_class}]")

    def words(self, runs: list[str]) -> float:
        """The number of words in runs of its letters."""
        return sum(map(len, runs)) / self.letters if self.letters else float(len(runs))


LATIN = Script("Latin", r"A-Za-zÀ-ÖØ-öø-ʯ\u0300-\u036fḀ-ỿ", (), least=2)
SCRIPTS = {
    script.name: script
    for script in (
        Script("Han", r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff", ("zh", "ja"), letters=1.7),
        Script("Kana", r"\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f", ("ja",), letters=2.0),
        Script("Hangul", r"\uac00-\ud7af\u1100-\u11ff\u3131-\u318e", ("ko",)),
        Script(
            "Cyrillic",
            r"\u0400-\u052f\u1c80-\u1c8f",
            ("ru", "uk", "bg", "be", "mk", "sr", "kk", "ky", "mn", "tg", "tt"),
            least=2,
        ),
        Script("Greek", r"\u0370-\u03ff\u1f00-\u1fff", ("el",), least=4),
        Script(
            "Arabic", r"\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc", ("ar", "fa", "ur", "ps")
        ),
        Script("Hebrew", r"\u0590-\u05ff", ("he", "yi"), least=2),
        Script("Devanagari", r"\u0900-\u097f", ("hi", "mr", "ne", "sa")),
        Script("Bengali", r"\u0980-\u09ff", ("bn", "as")),
        Script("Gurmukhi", r"\u0a00-\u0a7f", ("pa",)),
        Script("Gujarati", r"\u0a80-\u0aff", ("gu",)),
        Script("Oriya", r"\u0b00-\u0b7f", ("or",)),
        Script("Tamil", r"\u0b80-\u0bff", ("ta",)),
        Script("Telugu", r"\u0c00-\u0c7f", ("te",)),
        Script("Kannada", r"\u0c80-\u0cff", ("kn",)),
        Script("Malayalam", r"\u0d00-\u0d7f", ("ml",)),
        Script("Sinhala", r"\u0d80-\u0dff", ("si",)),
        Script("Thai", r"\u0e00-\u0e7f", ("th",), letters=5.0),
        Script("Lao", r"\u0e80-\u0eff", ("lo",), letters=5.0),
        Script("Tibetan", r"\u0f00-\u0fff", ("bo",), letters=5.0),
        Script("Myanmar", r"\u1000-\u109f", ("my",), letters=5.0),
        Script("Khmer", r"\u1780-\u17ff", ("km",), letters=5.0),
        Script("Georgian", r"\u10a0-\u10ff", ("ka",)),
        Script("Armenian", r"\u0530-\u058f", ("hy",)),
        Script("Ethiopic", r"\u1200-\u137f", ("am", "ti")),
    )
}
"""Every script but Latin, which is what no language of theirs is written in."""
_OTHER = re.compile(f"[{''.join(script.letters_class for script in SCRIPTS.values())}]+")
_ASCII = bytes(range(128))
_LETTERS = bytes(ord("a" if chr(byte).isalpha() else " ") for byte in range(128)) + b" " * 128
"""Every letter as `a`, all else as a space."""
_LATIN_BEYOND = re.compile(f"[{LATIN.letters_class.removeprefix('A-Za-z')}]")
_WORD = rf"[{LATIN.letters_class}]{{2,}}+(?:['’][{LATIN.letters_class}]+)*+"
_PHRASE = re.compile(rf"(?<![{LATIN.letters_class}'’]){_WORD}(?:[ ,-]{{1,3}}+{_WORD}){{3,}}+")


@cache
def scripts_of(language: str) -> frozenset[str]:
    """The names of the scripts that a language is written in; Latin for every language not known here."""
    own = frozenset(script.name for script in SCRIPTS.values() if language in script.languages)
    return own | {"Latin"} if language == "sr" or not own else own


def beyond_ascii(text: str) -> str:
    """The characters of the text that are not ASCII, one after the other: at 800 MB/s, what is rare in most texts."""
    return text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")


def runs_by_script(plain: str) -> dict[str, list[str]]:
    """The runs of letters (words, where the script has spaces) of each script in the text but Latin."""
    if plain.isascii() or not _OTHER.search(beyond_ascii(plain)):
        return {}
    others = " ".join(_OTHER.findall(plain))
    letters = "".join(set(others))
    there = {name: script for name, script in SCRIPTS.items() if script.letter.search(letters)}
    return {name: runs for name, script in there.items() if (runs := script.pattern.findall(others))}


def hidden_runs(text: str, plain: str, own: frozenset[str]) -> dict[str, list[str]]:
    """The runs of two letters or more of scripts other than `own` that stand in the text, but not in its prose.

    They are text that LaTeX, code or a tag hides; a letter alone in a formula is a symbol.
    """
    found: dict[str, list[str]] = {}
    runs = runs_by_script(text)
    shown = runs_by_script(plain) if runs.keys() - own else {}
    for name in sorted(runs.keys() - own):
        hidden = Counter(run for run in runs[name] if len(run) > 1)
        hidden.subtract(run for run in shown.get(name, ()) if len(run) > 1)
        if kept := list((+hidden).elements()):
            found[name] = kept
    return found


def words_by_language(runs: dict[str, list[str]], quoted: str, kana: bool = False) -> dict[str, float]:
    """The words in runs of foreign scripts, by language, without those that stand in `quoted` too.

    A script's words are called by its first language; Han letters are Japanese where there is kana too, or `kana`.
    """
    counts: dict[str, float] = {}
    known = runs_by_script(quoted) if runs else {}
    for name, found in runs.items():
        language = "ja" if name == "Han" and (kana or "Kana" in runs) else SCRIPTS[name].languages[0]
        words = SCRIPTS[name].words(unquoted(name, found, known.get(name, [])))
        counts[language] = counts.get(language, 0.0) + words
    return counts


def only(plain: str, own: frozenset[str]) -> str:
    """The text without the letters of other scripts."""
    if "Latin" not in own:
        plain = LATIN.pattern.sub(" ", plain)
    for name in runs_by_script(plain).keys() - own:
        plain = SCRIPTS[name].pattern.sub(" ", plain)
    return plain


def latin_words(plain: str, quoted: str = "") -> int:
    """The number of Latin words of two letters or more, without those that stand in `quoted` too."""
    if not quoted and (plain.isascii() or not _LATIN_BEYOND.search(beyond_ascii(plain))):
        return (b" " + plain.encode("ascii", "replace").translate(_LETTERS)).count(b" aa")  # four times as fast
    words = LATIN.pattern.findall(plain)
    if not quoted:
        return len(words)
    known = set(LATIN.pattern.findall(quoted))
    return sum(word not in known for word in words)


def latin_phrases(plain: str) -> list[str]:
    """Runs of four Latin words or more: text in another language, not a name, a term or a formula."""
    return _PHRASE.findall(plain)


def unquoted(name: str, runs: list[str], known: list[str]) -> list[str]:
    """The runs without what stands in `known` too: equal words, or pairs of letters where words have no spaces."""
    if not known:
        return runs
    if not SCRIPTS[name].letters:
        words = set(known)
        return [run for run in runs if run not in words]
    pairs = {run[index : index + 2] for run in known for index in range(len(run) - 1)} | {
        r for r in known if len(r) == 1
    }
    kept = []
    for run in runs:
        quoted = {i + k for i in range(len(run) - 1) if run[i : i + 2] in pairs for k in (0, 1)}
        kept.append("".join(letter for i, letter in enumerate(run) if i not in quoted and letter not in pairs))
    return kept
