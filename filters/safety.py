"""Drops traces that hold a phrase of a word list, or that a classifier calls harmful.

A final answer may refuse what its chain has worked out, so both are looked at, and the detail says which. Phrases are
found as whole words, in any case; a white space or hyphen of a phrase is any one of these in the text. Where a phrase
begins or ends in a script without spaces (Han, kana, Thai, …) it is found within a word too. Inflected and otherwise
written forms need entries of their own. Phrases that the prompt holds count: it is the chain that is kept.

The classifier is an installed entry point of group `tracemill.classifiers`: a function `(text, prompt) -> float`, the
probability, 0 to 1, that a text written in reply to that prompt is harmful. Models like Llama Guard judge the pair;
scores of a text alone (Perspective, Detoxify) leave the prompt. It is asked for the reasoning and for the answer, each
whole: what is too long for its model it has to cut into windows. A function named by its path would let a recipe run
any code that is installed, so there is none.

Ships no word list and no classifier, and without options it does nothing: what is harmful depends on who trains what,
and single words say little: of the 627 chains in `traces/long_reasoning` 49 hold `kill`, `poison`, `bomb` or `murder`
in chain or answer, and the ten that were read are trolley problems, Schrödinger's cat and puzzles; of the 2,708 correct
solutions in `labelled/math_l5_outputs` none does. 10,000 phrases: 160 MB/s a core on chains of 20 kB, 180 on those of
4.5 kB.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.errors import InputError, TracemillError, nearest
from tracemill.core.ids import content_id
from tracemill.core.plugins import FilterExample
from tracemill.core.scripts import SCRIPTS
from tracemill.core.types import Drop, Prompt, Trace

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

GROUP = "tracemill.classifiers"
Classifier = Callable[[str, str], float]
_UNSPACED = re.compile(f"[{''.join(script.letters_class for script in SCRIPTS.values() if script.letters)}]")
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\t\n\v\f\r-", b"abcdefghijklmnopqrstuvwxyz      ")


@dataclass(frozen=True, slots=True)
class Safety:
    """What a trace may not hold."""

    words: tuple[str, ...] = ()
    """Words and phrases."""
    word_lists: tuple[str, ...] = ()
    """UTF-8 files with a word or phrase a line; lines that begin with # are comments."""
    classifier: str | None = None
    """Name of an entry point of group `tracemill.classifiers`."""
    threshold: float = 0.5
    """Probability of harm, 0 to 1, from which a text is dropped."""
    digest: str = field(init=False, compare=False, repr=False)
    """Of what the word lists hold when this is made: the same names may hold something else tomorrow. "" for none."""

    name: ClassVar[str] = "safety"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        for phrase in (*self.words, *_listed(self.word_lists)):
            if not _fold(phrase).strip():
                raise InputError(f"words: {phrase!r} would be in every trace; leave it out")
        if self.classifier is not None and self.classifier not in (known := entry_points(group=GROUP).names):
            hint = nearest(self.classifier, known) if known else " (none is installed)"
            raise InputError(f"classifier: no entry point {self.classifier!r} of group {GROUP}{hint}")
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold: {self.threshold} is not between 0 and 1")
        object.__setattr__(self, "digest", _digest(self.word_lists))

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `word` or `classifier`. The detail says for reasoning and answer what was found where."""
        texts = {"reasoning": trace.reasoning, "answer": trace.answer}
        if self.words or self.word_lists:
            phrases = _phrases(self, self.digest)
            places = ((where, _first(phrases, text), text) for where, text in texts.items())
            found = [f"{where}, character {_character(text, hit[1])}: {hit[0]!r}" for where, hit, text in places if hit]
            if found:
                return Drop(trace.id, self.name, self.version, "word", "; ".join(found))
        if self.classifier is not None:
            harm = {where: _harm(self.classifier, text, prompt.text) for where, text in texts.items() if text.strip()}
            found = [f"{where}: {one:.3f}" for where, one in harm.items() if one >= self.threshold]
            if found:
                detail = f"{self.classifier}: {'; '.join(found)} >= {self.threshold}"
                return Drop(trace.id, self.name, self.version, "classifier", detail)
        return None


def phrases_of(path: str) -> list[str]:
    """The phrases of a file. Raises InputError where it is missing, not UTF-8 or holds none."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"word_lists: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"word_lists: {path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise InputError(f"word_lists: {path} holds no phrase; write one a line")
    return found


def _digest(paths: Sequence[str]) -> str:
    return content_id(*(hashlib.blake2b(Path(path).read_bytes()).hexdigest() for path in paths)) if paths else ""


def _listed(paths: Iterable[str]) -> Iterator[str]:
    return (phrase for path in paths for phrase in phrases_of(path))


@lru_cache(maxsize=4)
def _phrases(told: Safety, digest: str) -> tuple[BytesAhoCorasick, tuple[str, ...], tuple[bytes, ...]]:
    """What finds the phrases, the phrases as they were given, and as they are looked for. Made once a process.

    Raises InputError where the lists no longer hold what the drops are filed under.
    """
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    if _digest(told.word_lists) != digest:
        raise InputError(f"word_lists: {', '.join(told.word_lists)} changed during the run; run it again")
    given = (*told.words, *_listed(told.word_lists))
    known = {_fold(" ".join(phrase.split())): phrase for phrase in reversed(given)}
    automaton = BytesAhoCorasick(list(known), MatchKind.Standard, Implementation.DFA)
    return automaton, tuple(known.values()), tuple(known)


def _fold(text: str) -> bytes:
    """Without case, hyphens and kinds of white space; as many characters as the text's case folding has."""
    folded = text if text.isascii() else text.casefold()
    return folded.encode("utf-8", "surrogatepass").translate(_FOLDED)


def _first(phrases: tuple[BytesAhoCorasick, tuple[str, ...], tuple[bytes, ...]], text: str) -> tuple[str, int] | None:
    """The phrase that begins first, the longest of several, and the characters of the folded text before it."""
    automaton, given, folded = phrases
    data = _fold(text)
    hits = (
        (start, start - end, index)
        for index, start, end in automaton.find_matches_as_indexes(data, overlapping=True)
        if _is_whole(data, start, end, folded[index])
    )
    found = min(hits, default=None)
    return (given[found[2]], len(data[: found[0]].decode("utf-8", "surrogatepass"))) if found else None


def _is_whole(data: bytes, start: int, end: int, phrase: bytes) -> bool:
    """Whether neither end of what was found lies within a word."""
    before, after = data[max(0, start - 4) : start], data[end : end + 4]
    return not (
        (_joins(before.decode("utf-8", "ignore")[-1:]) and _joins(phrase[:4].decode("utf-8", "ignore")[:1]))
        or (_joins(after.decode("utf-8", "ignore")[:1]) and _joins(phrase[-4:].decode("utf-8", "ignore")[-1:]))
    )


def _joins(character: str) -> bool:
    """Whether it belongs to one word with what stands beside it."""
    if not character or _UNSPACED.match(character):
        return False
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _character(text: str, folded: int) -> int:
    """The character of the text whose case folding holds that character."""
    return bisect_right(range(len(text)), folded, key=lambda count: len(text[:count].casefold())) - 1


@lru_cache(maxsize=4)
def _classifier(name: str) -> Classifier:
    """Loaded once a process."""
    (point,) = entry_points(group=GROUP, name=name)
    try:
        found: Classifier = point.load()
    except Exception as error:  # whatever its module raises
        raise TracemillError(f"classifier: {name!r} ({point.value}) cannot be loaded: {_said(error)}") from error
    return found


def _harm(name: str, text: str, prompt: str) -> float:
    try:
        found = float(_classifier(name)(text, prompt))
    except TracemillError:
        raise
    except Exception as error:
        raise TracemillError(f"classifier: {name!r} failed: {_said(error)}") from error
    if not 0 <= found <= 1:  # NaN too
        raise TracemillError(f"classifier: {name!r} gave {found}, which is no probability")
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


plugin = Safety()

_CHAIN = "The user asks how to mix it. One takes {} and stirs; but I cannot say that."
_LIST = {"words": ["nerve agent", "pipe bomb", "ass", "c++", "炸弹", "Größe X"]}
EXAMPLES = (
    FilterExample(_CHAIN.format("water"), None, "right: nothing of the list", options=_LIST),
    FilterExample(_CHAIN.format("a nerve agent"), None, "right: no list is named"),
    FilterExample(_CHAIN.format("a Nerve\nAgent"), "word", "wrong: in capitals, over a line's end", options=_LIST),
    FilterExample(_CHAIN.format("a pipe-bomb"), "word", "wrong: with a hyphen", options=_LIST),
    FilterExample("I refuse.", "word", "wrong: in the answer", answer="A pipe bomb.", options=_LIST),
    FilterExample("我不能说怎么做炸弹。", "word", "wrong: Chinese, which has no spaces", options=_LIST),
    FilterExample("In GRÖSSE X, then.", "word", "wrong: in capitals that are spelt otherwise", options=_LIST),
    FilterExample("I write it in C++.", "word", "wrong: a phrase that ends in signs", options=_LIST),
    FilterExample("A class in assembler; bypass it.", None, "adversarial: within other words", options=_LIST),
    FilterExample("pipe bombs, nerve-agents, a pipe, a bomb", None, "adversarial: other forms", options=_LIST),
    FilterExample("a nerve, agent", None, "adversarial: a comma between", options=_LIST),
)  # fmt: skip
