"""Drops chains that go round in circles: the same words again and again, or the same words with the next number.

`looped` is the share of words in loops, not counting their first round: stretches in which every run of five words
stood at most 256 words before, for three rounds or more. `counted` is the same without digits and punctuation ("try
x = 7 … try x = 8 …"), not counting the first sixteen rounds: to list the cases is how much of mathematics is done.
`repeated` is the share of runs of five words that stood anywhere earlier in the chain; it also sees what comes back
with small changes. A character of a script without spaces (Han, kana, Thai, …) is a word.

Calibrated on the 621 chains of over 200 words in `traces/long_reasoning` and the 2,708 correct solutions in
`labelled/math_l5_outputs`: of either not one in a hundred has anything in loops or counted. The defaults drop 3 of the
chains (one ends in 7,900 dots, one concludes for 1,800 words, one turns a contradiction over and over) and 8 of the
solutions. Loops planted into the chains (tests/filters/test_repetition.py) are found in 98.6 % where they are a tenth
of the words and in 99.5 % where they are three tenths. Of loops that count, 25 rounds at least, all measure over 0;
with the default 65 % are dropped at a tenth and all at three tenths. 14 MB/s a core. Does not see a thought that is
said again in other words.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace
from tracemill.filters.minhash import ALONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

GRAM = 5
"""Words of a run that is looked for."""
ROUNDS = 3
"""Rounds from which a repetition is a loop."""
LEAST = 20
"""Words of the shortest loop; runs of a text below which the share of repeated ones says nothing."""
CASES = 16
"""Rounds of a loop without digits that are a list of cases."""
PERIOD = 256
"""Words of the longest round."""
QUOTED = 60
"""Characters of a loop that the detail shows."""
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd (Knuth, TAOCP 3, 6.4)
_NO_LETTERS = (string.digits + string.punctuation).encode()
_ALONE = rb"[\xe0\xe1\xe3-\xe9][\x80-\xbf]{2}"
"""A character of the scripts without spaces, in UTF-8 (and of some others in U+0800 to U+1FFF)."""
_WORD = re.compile(_ALONE + rb"|(?:(?!" + _ALONE + rb")\S)+")


@dataclass(frozen=True, slots=True)
class Repetition:
    """The greatest shares, 0 to 1, that a chain may have."""

    max_looped: float = 0.05
    max_counted: float = 0.02
    max_repeated: float = 0.65

    name: ClassVar[str] = "repetition"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        for name in ("max_looped", "max_counted", "max_repeated"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)} is not between 0 and 1")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `loop` or `counting_loop`, whose detail says where the longest begins and how; or `repetitive`."""
        found = repetition(trace.reasoning)
        if found.looped > self.max_looped:
            reason, detail = "loop", _described(trace.reasoning, found.looped, found.loops, b"")
        elif found.counted > self.max_counted:
            reason, detail = "counting_loop", _described(trace.reasoning, found.counted, found.counts, _NO_LETTERS)
        elif found.repeated > self.max_repeated:
            reason, detail = "repetitive", f"{found.repeated:.1%} of the runs of {GRAM} words stood before"
        else:
            return None
        return Drop(trace.id, self.name, self.version, reason, detail)


@dataclass(frozen=True, slots=True)
class Loop:
    """Words that repeat."""

    start: int
    """Word at which the first round begins."""
    words: int
    """Of all rounds."""
    period: int
    """Words of a round; of the longest, where it repeats in itself too."""


@dataclass(frozen=True, slots=True)
class Found:
    """How much of a text repeats what stood before it; shares are 0 to 1."""

    loops: list[Loop]
    counts: list[Loop]
    """Loops among the words without digits and punctuation, which those of `loops` are too."""
    looped: float
    counted: float
    repeated: float
    """0 where the text has few runs."""


def repetition(text: str) -> Found:
    """All three measures."""
    data = text.encode("utf-8", "surrogatepass")
    words, bare = _words(data), _words(data.translate(None, _NO_LETTERS))
    gaps = _gaps(words)
    loops, counts = find_loops(gaps), find_loops(_gaps(bare))
    repeated = float((gaps > 0).mean()) if len(gaps) >= LEAST else 0.0
    return Found(loops, counts, _share(loops, 1, len(words)), _share(counts, CASES, len(bare)), repeated)


def find_loops(gaps: Ints) -> list[Loop]:
    """The loops in their order. `gaps` says, for each run of words, how many words ago it began last; 0 for never."""
    import numpy as np

    near = np.concatenate([[False], (gaps > 0) & (gaps <= PERIOD), [False]])
    edges = np.flatnonzero(near[1:] != near[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return []
    borders = edges if ends[-1] < len(gaps) else edges[:-1]
    periods = np.maximum.reduceat(gaps, borders)[::2]
    firsts = np.minimum.reduceat(np.arange(len(gaps)) - gaps, borders)[::2]
    again = ends - starts + GRAM - 1  # words that stood before
    sizes = starts + again - firsts
    found = (again >= (ROUNDS - 1) * periods) & (sizes >= LEAST)
    rows = zip(firsts[found].tolist(), sizes[found].tolist(), periods[found].tolist(), strict=True)
    return [Loop(first, size, period) for first, size, period in rows]


def _share(loops: Sequence[Loop], rounds: int, words: int) -> float:
    """Share of the words in loops that come after so many rounds."""
    return sum(max(0, loop.words - rounds * loop.period) for loop in loops) / max(words, 1)


def _described(text: str, share: float, loops: Sequence[Loop], left_out: bytes) -> str:
    longest = max(loops, key=lambda loop: loop.words)
    data = text.encode("utf-8", "surrogatepass")
    place = len(data[: _place(data, longest.start, left_out)].decode("utf-8", "surrogatepass"))
    quoted = " ".join(text[place : place + QUOTED].split())
    return f"{share:.1%} of the words are in loops, the longest from character {place} on: {quoted!r}"


def _words(data: bytes) -> list[bytes]:
    return _WORD.findall(data) if any(lead in data for lead in ALONE) else data.split()


def _gaps(words: Sequence[bytes]) -> Ints:
    """For each run of words, how many words ago the same run began last; 0 where it never did. (words - 4,)"""
    import numpy as np

    count = len(words) - GRAM + 1
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    hashes = np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).view(np.uint64)
    runs = hashes[:count].copy()
    for offset in range(1, GRAM):
        runs *= np.uint64(_MULTIPLIER)
        runs += hashes[offset : offset + count]
    order = np.argsort(runs, kind="stable")
    again = runs[order[1:]] == runs[order[:-1]]
    gaps = np.zeros(count, dtype=np.int64)
    gaps[order[1:][again]] = order[1:][again] - order[:-1][again]
    return gaps


def _place(data: bytes, number: int, left_out: bytes) -> int:
    """Where the word of that number begins, not counting words that are made of what is left out."""
    words = (found for found in _WORD.finditer(data) if found[0].translate(None, left_out))
    return next(islice(words, number, None)).start()


plugin = Repetition()

_CHAIN = (
    "Let me think about this. The farmer has forty-eight sheep and sells a quarter of them, which is twelve, so he is "
    "left with thirty-six. Then he buys as many lambs as he had sold. Now I add both numbers, and the sum is what was "
    "asked for; to be sure I go through it once more from the end: without the lambs it is thirty-six again. "
)
_LOOP = "Wait, but maybe I should check that again. "
_COUNTING = "".join(f"Try x = {number}: then the left side is {number**2 + 1}, too small. " for number in range(40))
_HAN = "首先我们计算鸭子每天下的蛋,然后减去早餐吃掉的那些,剩下的都卖掉。"
EXAMPLES = (
    FilterExample(_CHAIN, None, "right: a chain"),
    FilterExample(_CHAIN + _LOOP * 2 + "It is 48.", None, "right: a doubt that comes twice"),
    FilterExample(_CHAIN + _COUNTING[:600], None, "right: a dozen cases"),
    FilterExample("", None, "right: nothing repeats in nothing"),
    FilterExample(_CHAIN + _LOOP * 30, "loop", "wrong: a loop at the end"),
    FilterExample(_LOOP * 30 + _CHAIN * 2, "loop", "wrong: a loop that it left again"),
    FilterExample(_CHAIN + _COUNTING, "counting_loop", "wrong: it counts on"),
    FilterExample(_HAN * 12, "loop", "wrong: a loop in Chinese"),
    FilterExample(". " * 200, "loop", "wrong: dots"),
    FilterExample(
        "".join(_CHAIN.replace("farmer", f"farmer's {one}") for one in ("son", "wife", "dog", "cow", "hen", "cat")),
        "repetitive", "wrong: one paragraph six times, with a word changed", options={"max_looped": 1.0},
    ),
    FilterExample(
        _CHAIN + _LOOP * 30, None, "right: loops are allowed",
        options={"max_looped": 1.0, "max_counted": 1.0, "max_repeated": 1.0},
    ),
    FilterExample(_HAN, None, "adversarial: Chinese, which has no spaces"),
    FilterExample(", ".join(map(str, range(300))), None, "adversarial: a list of numbers"),
    FilterExample("7 " * 300, "loop", "adversarial: a number again and again"),
)  # fmt: skip
