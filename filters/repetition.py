"""Drops chains that go round in circles: the same words again and again, or the same words with the next number.

Two measures. `looped` is the share of words in loops, not counting their first round: stretches in which every run of
five words stood at most 256 words before, for three rounds or more. Digits are left out for it, so that "try x = 7 …
try x = 8 …" is a loop too. `repeated` is the share of runs of five words that stood anywhere earlier in the chain; it
also sees what comes back with small changes. A character of a script without spaces (Han, kana, Thai, …) is a word.

Real chains repeat themselves. Of the 621 in `traces/long_reasoning` with over 200 words half repeat 16 % of their runs
and one in a hundred 52 %; one in a hundred has 0.9 % of its words in loops. The defaults drop three of them: one ends
in 7,900 dots, one concludes for 1,800 words, one turns a contradiction over and over (71 % repeated). Loops planted
into these chains (tests/filters/test_repetition.py) are found in 98.7 % where they are a tenth of the words and in
99.7 % where they are three tenths; loops that count in all. 14 MB/s a core. Does not see a thought that is said again
in other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

GRAM = 5
"""Words of a run that is looked for."""
ROUNDS = 3
"""Rounds from which a repetition is a loop."""
LEAST = 20
"""Words of the shortest loop; and runs below which the share of repeated ones says nothing."""
PERIOD = 256
"""Words of the longest round."""
QUOTED = 60
"""Characters of a loop that the detail shows."""
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd (Knuth, TAOCP 3, 6.4)
_DIGITS = b"0123456789"
_ALONE = rb"[\xe0\xe1\xe3-\xe9][\x80-\xbf]{2}"
"""A character of the scripts without spaces, in UTF-8 (and of some others in U+0800 to U+1FFF)."""
_WORD = re.compile(_ALONE + rb"|(?:(?!" + _ALONE + rb")\S)+")
_LEADS = tuple(bytes([lead]) for lead in (0xE0, 0xE1, *range(0xE3, 0xEA)))


@dataclass(frozen=True, slots=True)
class Repetition:
    """The greatest shares, 0 to 1, that a chain may have."""

    max_looped: float = 0.05
    max_repeated: float = 0.65

    name: ClassVar[str] = "repetition"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        for name in ("max_looped", "max_repeated"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)} is not between 0 and 1")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop `loop`, whose detail says where the longest begins and with what, or `repetitive`."""
        data = trace.reasoning.encode("utf-8", "surrogatepass")
        loops, words = find_loops(data)
        looped = sum(loop.words - loop.period for loop in loops) / max(words, 1)
        if looped > self.max_looped:
            longest = max(loops, key=lambda loop: loop.words)
            start = _place(data, longest.start)
            place = len(data[:start].decode("utf-8", "surrogatepass"))
            quoted = " ".join(trace.reasoning[place : place + QUOTED].split())
            found = f"{looped:.1%} of the words are in loops, the longest from character {place} on: {quoted!r}"
            return Drop(trace.id, self.name, self.version, "loop", found)
        repeated = repeated_share(data)
        if repeated > self.max_repeated:
            found = f"{repeated:.1%} of the runs of {GRAM} words stood before"
            return Drop(trace.id, self.name, self.version, "repetitive", found)
        return None


@dataclass(frozen=True, slots=True)
class Loop:
    """Words without digits that repeat with a fixed period."""

    start: int
    """Word at which the first round begins."""
    words: int
    """Of all rounds."""
    period: int


def repeated_share(data: bytes) -> float:
    """Share of the runs of five words that stood earlier in the UTF-8 text; 0 where there are few."""
    gaps = _gaps(_words(data))
    return float((gaps > 0).mean()) if len(gaps) >= LEAST else 0.0


def find_loops(data: bytes) -> tuple[list[Loop], int]:
    """The loops of a UTF-8 text in their order, and its words, both without digits."""
    import numpy as np

    words = _words(data.translate(None, _DIGITS))
    gaps = _gaps(words)
    if not len(gaps):
        return [], len(words)
    near = np.concatenate([[False], (gaps > 0) & (gaps <= PERIOD), [False]])
    edges = np.flatnonzero(near[1:] != near[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return [], len(words)
    periods = np.maximum.reduceat(gaps, edges if ends[-1] < len(gaps) else edges[:-1])[::2]
    lengths = ends - starts + GRAM - 1  # words that are those of a round before
    found = (lengths >= (ROUNDS - 1) * periods) & (lengths + periods >= LEAST)
    rows = zip(starts[found].tolist(), lengths[found].tolist(), periods[found].tolist(), strict=True)
    return [Loop(start - period, length + period, period) for start, length, period in rows], len(words)


def _words(data: bytes) -> list[bytes]:
    return _WORD.findall(data) if any(lead in data for lead in _LEADS) else data.split()


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


def _place(data: bytes, number: int) -> int:
    """Where the word of that number begins, not counting words of digits alone."""
    words = (found for found in _WORD.finditer(data) if found[0].translate(None, _DIGITS))
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
    FilterExample("", None, "right: nothing repeats in nothing"),
    FilterExample(_CHAIN + _LOOP * 30, "loop", "wrong: a loop at the end"),
    FilterExample(_LOOP * 30 + _CHAIN * 2, "loop", "wrong: a loop that it left again"),
    FilterExample(_CHAIN + _COUNTING, "loop", "wrong: it counts on"),
    FilterExample(_HAN * 12, "loop", "wrong: a loop in Chinese"),
    FilterExample(". " * 200, "loop", "wrong: dots"),
    FilterExample(
        "".join(_CHAIN.replace("farmer", f"farmer's {one}") for one in ("son", "wife", "dog", "cow", "hen", "cat")),
        "repetitive", "wrong: one paragraph six times, with a word changed", options={"max_looped": 1.0},
    ),
    FilterExample(
        _CHAIN + _LOOP * 30, None, "right: loops are allowed", options={"max_looped": 1.0, "max_repeated": 1.0}
    ),
    FilterExample(_HAN, None, "adversarial: Chinese, which has no spaces"),
    FilterExample("7 " * 300, None, "adversarial: a list of numbers has no words", options={"max_repeated": 1.0}),
)  # fmt: skip
