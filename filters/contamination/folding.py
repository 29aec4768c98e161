"""The form in which texts are compared: letters, marks and digits; all else separates words.

Unicode NFKD and case folding, without diacritics (é is e): what is equal under NFKC and lower case is equal here.
Numbers stay: `12` and `13` are two words. White space, punctuation and signs separate and are not kept, so `x+1`,
`x + 1` and `X-1` are the words `x 1`. In scripts without spaces (Han, kana, Thai, Lao, Khmer, Burmese) each character
is a word. Does not know languages: `colour` is not `color`.

`fold` says what the form is; `stream` gives one byte a character of it, for hashing at 100 MB/s.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

SPACE = 0x20
UNSPACED = 0xC0
"""From this byte on: a character of a script without spaces, a word by itself. 0x80 to 0xBF: any other letter."""
_UNSPACED_RANGES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF))
_HANGUL = ("\uac00", "\ud7a3")
"""Syllables, which NFKD would take apart into letters."""
_JAMO = ("\u1100", "\u11ff")
_DIACRITIC = 200
"""Combining classes from here on are marks above, below and through letters, not vowels or tones of a script."""


def fold(text: str) -> str:
    """The text as it is compared, separators as spaces (not collapsed). One character each, for most texts."""
    return text.translate(_FOLDED)


def composed(text: str) -> str:
    """The text with decomposed Hangul put together, which `fold` needs; other texts as they are."""
    return unicodedata.normalize("NFC", text) if any(_JAMO[0] <= char <= _JAMO[1] for char in set(text)) else text


def stream(texts: Sequence[str]) -> tuple[Bytes, NDArray[np.int64], dict[int, str]]:
    """The folded texts as bytes, each with a space before and after it; where each begins; and the special ones.

    A byte stands for a folded character: ASCII for itself, others for a class of characters (see `UNSPACED`), so equal
    words have equal bytes and different words may have, too. Special texts, by number, have more or fewer folded
    characters than characters: they are given folded.
    """
    data, starts = _bytes(texts), _starts(texts)
    if data.all():
        return data, starts, {}
    numbers = np.unique(np.searchsorted(starts, np.flatnonzero(data == 0), "right") - 1).tolist()
    special = {number: fold(composed(texts[number])) for number in numbers}
    plain = [special.get(number, text) for number, text in enumerate(texts)]
    return _bytes(plain), _starts(plain), special


def _bytes(texts: Sequence[str]) -> Bytes:
    joined = " ".join(("", *texts, ""))
    if joined.isascii():
        return np.frombuffer(joined.encode("ascii").translate(_ASCII), np.uint8)
    codes: NDArray[np.integer] = np.frombuffer(joined.encode("utf-16-le", "surrogatepass"), "<u2")
    if len(codes) != len(joined):  # some characters are two units
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    data = np.frombuffer(bytearray(codes.astype(np.uint8)).translate(_ASCII), np.uint8)
    at = np.flatnonzero(codes > 0x7F)
    data[at] = _classes()[np.minimum(codes[at].astype(np.int64), 0x10000)]
    return data


def _starts(texts: Sequence[str]) -> NDArray[np.int64]:
    starts = np.ones(len(texts) + 1, np.int64)
    starts[1:] += np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    return starts


@lru_cache(maxsize=65_536)
def _fold_one(char: str) -> str:
    if _HANGUL[0] <= char <= _HANGUL[1]:
        return char
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(map(_kept, plain))


def _kept(char: str) -> str:
    if unicodedata.combining(char) >= _DIACRITIC:
        return ""
    is_word = (char.isalnum() or unicodedata.category(char)[0] == "M") and char <= "\uffff"
    return char if is_word else " "


class _Folded(dict[int, str]):
    """`str.translate` table that fills itself."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _fold_one(chr(code))
        return found


_FOLDED = _Folded()
_ASCII = bytes(ord(_fold_one(chr(code))) for code in range(128)) + bytes([SPACE]) * 128


@cache
def _classes() -> Bytes:
    """The byte of each character of two bytes; 0 for Hangul letters, for what folds to none or several, and for others.

    Made in 0.1 s, when the first text comes that is not ASCII.
    """
    found = np.zeros(0x10001, np.uint8)
    for code in range(0x10000):
        folded = _fold_one(chr(code))
        if len(folded) == 1 and not _JAMO[0] <= chr(code) <= _JAMO[1]:
            found[code] = _class(ord(folded))
    return found


def _class(code: int) -> int:
    if code < 0x80:
        return code
    base = UNSPACED if any(first <= code <= last for first, last in _UNSPACED_RANGES) else 0x80
    return base + (code * 40_503 >> 4) % 64
