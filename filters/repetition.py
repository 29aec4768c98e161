"""Drops chains that go round in circles: the same words again and again, or the same words with the next number.

`looped` is the share of words in loops, not counting their first round: stretches in which every run of five words
stood at most 256 words before, for three rounds or more. `counted` is the same without digits and punctuation ("try
x = 7 … try x = 8 …"), not counting the first sixteen rounds: to list the cases is how much of mathematics is done.
`repeated` is the share of runs of five words that stood anywhere earlier in the chain; it also sees what comes back
with small changes. What a word is stands in `filters.words`.

Calibrated on the 621 chains of over 200 words in `traces/long_reasoning` and the 2,708 correct solutions in
`labelled/math_l5_outputs`: of either not one in a hundred has anything in loops or counted. The defaults drop 3 of the
chains (one ends in 7,900 dots, one concludes for 1,800 words, one turns a contradiction over and over) and 8 of the
solutions, five of them wrongly (a sum of many zeros, a list of cases that ends in the answer). Loops planted into the
chains (tests/filters/test_repetition.py) are found in 98.6 % where they are a tenth of the words and in 99.5 % where
they are three tenths. Of loops that count, 25 rounds at least, all measure over 0; with the default 65 % are dropped
at a tenth and all at three tenths. 62 MB/s a core, at 4.5 kB. Does not see a thought that is said again in other
words.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from tracemill.core.errors import InputError
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Item, Prompt, Trace
from tracemill.filters.words import MULTIPLIER, batches, mixed, words_of

if TYPE_CHECKING:
    from tracemill.filters.words import U64, Ints

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
TOGETHER = 2**16
"""Characters that are looked at together, so that their hashes stay in the processor's caches."""
_STRETCH = bytes([True]) * ((ROUNDS - 1) * LEAST // ROUNDS - GRAM + 2)
"""Runs in a row that stood shortly before: fewer are in no loop of `LEAST` words."""
_NO_LETTERS = (string.digits + string.punctuation).encode()


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
        return self._drop(trace, repetition(trace.reasoning))

    def check_all(self, items: Sequence[Item]) -> list[Drop | None]:
        """The same of each."""
        found: list[Found] = []
        texts = [item.trace.reasoning for item in items]
        for some in batches(texts, TOGETHER):
            found += repetitions(some)
        return [self._drop(item.trace, one) for item, one in zip(items, found, strict=True)]

    def _drop(self, trace: Trace, found: Found) -> Drop | None:
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
    return repetitions([text])[0]


def repetitions(texts: Sequence[str]) -> list[Found]:
    """The same of each: together, for a call of numpy takes as long as its work on a thousand words."""
    import numpy as np

    parts = [part for text in texts for part in _parts(text)]
    words = words_of(parts)
    ends = words.ends
    begins = np.concatenate([[0], ends[:-1]])
    gaps = _gaps(words.hashes(), begins, ends)
    loops: list[list[Loop]] = [[] for _ in parts]
    for loop in _loops(gaps):
        part = int(ends.searchsorted(loop.start, "right"))
        loops[part].append(replace(loop, start=loop.start - int(begins[part])))
    runs = np.maximum(ends - begins - GRAM + 1, 0)[::2]
    before = np.concatenate([[0], np.cumsum(gaps > 0)])
    again = before[begins[::2] + runs] - before[begins[::2]]
    sizes = (ends - begins).tolist()
    return [
        Found(
            loops[at],
            loops[at + 1],
            _share(loops[at], 1, sizes[at]),
            _share(loops[at + 1], CASES, sizes[at + 1]),
            repeated / count if count >= LEAST else 0.0,
        )
        for at, repeated, count in zip(range(0, len(parts), 2), again.tolist(), runs.tolist(), strict=True)
    ]


def _loops(gaps: Ints) -> list[Loop]:
    """The loops in their order. `gaps` says, for each run of words, how many words ago it began last; 0 for never."""
    import numpy as np

    near = (gaps - 1).view(np.uint64) < PERIOD  # unsigned: -1 is large
    if _STRETCH not in near.tobytes():
        return []
    near = np.concatenate([[False], near, [False]])
    edges = np.flatnonzero(near[1:] != near[:-1])
    starts, ends = edges[::2], edges[1::2]
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
    words = words_of(_parts(text)[:1])
    spans = zip(words.starts.tolist(), words.lengths.tolist(), strict=True)
    told = (start for start, size in spans if words.data[start : start + size].translate(None, left_out))
    start = next(islice(told, longest.start, None))
    place = len(words.data[1:start].decode("utf-8", "surrogatepass"))  # a space stands before the text
    quoted = " ".join(text[place : place + QUOTED].split())
    return f"{share:.1%} of the words are in loops, the longest from character {place} on: {quoted!r}"


def _parts(text: str) -> tuple[bytes, bytes]:
    """The text, and what is left of it without digits and punctuation."""
    data = text.encode("utf-8", "surrogatepass")
    return data, data.translate(None, _NO_LETTERS)


def _gaps(hashes: U64, begins: Ints, ends: Ints) -> Ints:
    """For each run of words, how many words ago the same run began last in the same part; 0 where it never did.

    Of all words (words,): the last ones of a part, where none can begin, have 0 too.
    """
    import numpy as np

    last = max(0, len(hashes) - GRAM + 1)
    runs = hashes[:last] * np.uint64(MULTIPLIER)
    for offset in range(1, GRAM):
        runs += hashes[offset : offset + last]
        runs *= np.uint64(MULTIPLIER)
    runs ^= np.repeat(mixed(np.arange(1, len(ends) + 1, dtype=np.uint64)), ends - begins)[:last]
    quarters = runs.view(np.uint16)  # 16 bits are sorted by radix: 4 ns each, where 64 bits take 16
    order = quarters[2::4].argsort(kind="stable")
    order = order[quarters[3::4][order].argsort(kind="stable")]
    runs = runs[order]
    again = (runs[1:] == runs[:-1]).nonzero()[0]
    later = order[again + 1]
    gaps = np.zeros(len(hashes), dtype=np.int64)
    gaps[later] = later - order[again]
    over = ends[:, None] - np.arange(1, GRAM)  # runs over the end of a part
    gaps[over[over >= begins[:, None]]] = 0
    return gaps


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
