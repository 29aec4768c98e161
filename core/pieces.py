"""The pieces of prose that language detectors have to judge: those that are not plainly in the language asked for.

A sentence is plain where every fourth word is a function word of the language, no five words in a row are without one,
and one is hardly a word of any other language: Danish has for, at, have, under; Frisian is, it, of. In doubt are the
others: long ones in parts, ones of less than five words together. In `traces/long_reasoning` 6 % of the words are in
doubt. Of the English pieces that are plain, fastText and pycld2 both took some for French or Catalan ("fill the jug,
then fill the jug"); of the pieces of six other languages in `languages/sentences` none is plainly English or German.
Does not say which language a piece is in, nor see a few foreign words in a sentence that is plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import compress, repeat

from tracemill.core.scripts import beyond_ascii

PIECE = 5
"""Fewest words of a piece; shorter sentences are put together."""
LONG_PIECE = 40
"""Most words of a piece; a longer sentence is cut in equal parts."""
MOST_OTHERS = 0.75
"""Share of the words of a plain sentence that are no function words, at most."""

_OWN = {
    "en": """the and that this these those there then than they their them its if but because which what when where who
        whose how why you your she his him he with from were been being would could should might will cannot does did
        each both some only again more other another after before between into about since maybe perhaps wait therefore
        thus while however just still already always never too three four five seven eight nine first second without
        until either neither nor down such every much many few gets make need think know say says said mean means given
        check try back right answer times cases equal equals values equation good different difference half twice
        exactly actually assume similarly consider remaining okay yes hmm it's that's there's let's he's she's what's
        i'm i'll i've we're we'll they're you're can't don't doesn't didn't isn't aren't won't wasn't our us has be can
        must or here got very two see take takes step own same any now up out makes hence number numbers false true
        value left""",
    "de": """das und nicht ist eine einen einem einer eines dass wir zu mit auf für auch sich wird werden wurde haben
        aber oder wenn dann also nur noch nach bei aus wie durch über kann können muss müssen zum zur unter zwischen
        mehr jeder jede jedes diese dieser dieses weil zuerst schon sehr""",
}  # fmt: skip
"""Function words that are hardly a word of another language. All sentences of a language that is not here are in doubt;
the words of others were not counted."""
_SHARED = {
    "en": """is of to it for at by so we have had are over under even most as all let like get time give gives find one
        want sum""",
    "de": """der die den dem des er es ein war hat so um alle am im hier sein als von sind sie ich vom waren""",
}  # fmt: skip
"""Function words of which another language has some: "Det er for at vi kan have det samlede antal" is Danish."""
_OTHER, _OWN_WORD, _SHARED_WORD, _VARIABLE, _END = b"\0", b"\1", b"\2", b"\3", b"\4"
"""Kinds of tokens."""
_IS_WORD = bytes([1, 1, 1, 0, 0]) + bytes(251)
_GAP = _OTHER * PIECE
_SIGN = "\x80-\xbf×÷\u1680\u2000-\u2bff\u3000-\u303f\uff00-\uff65\ue000-\uf8ff\U0001f000-\U0001faff"
"""What is no part of a word, beyond ASCII."""
_SIGNS = re.compile(f"[{_SIGN}]+")
_LETTER = re.compile(f"[^{_SIGN}]")
_SPACE = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WIDE = re.compile(f"[。！？；…।؟{_SPACE}]")
_WIDE_END = re.compile(rf"""[。！？；…]|(?<=[।؟])[\s"')\]*]+|(?<=[.!?:;])[{_SPACE}][\s"')\]*]*""")
_END_OF_PIECE = re.compile(rb"\.[ \n']+")


def _class(byte: int) -> int:
    """Letters in lower case, ends of sentences as `.`, what may stand between an end and the next word as a space."""
    char = chr(byte)
    if char in "\n'" or char.isalpha() or byte > 0x7F:
        return ord(char.lower()) if byte < 0x80 else byte
    return ord("." if char in ".!?:;" else " " if char.isspace() or char in '")]*' else "\1")


_CLASSES = bytes(map(_class, range(256)))
_CLASSES_WITHOUT_LETTERS = _CLASSES[:128] + b"\1" * 128
"""The same for text in which no letter is beyond ASCII."""
_WORDS_ONLY = bytes(byte if byte not in b"\1." else ord(" ") for byte in range(256))


def words_of(plain: str) -> str:
    """Lower-case words without digits and punctuation, separated by spaces; a single Latin letter is a variable."""
    tokens = _classed(plain).translate(_WORDS_ONLY).split()
    return b" ".join([token for token in tokens if len(token) > 1]).decode()


def pieces_in_doubt(plain: str, language: str, spared: float = 0) -> list[str]:
    """The words of each piece that may be in another language; none, where these are no more than `spared` words."""
    if not plain.isascii() and _WIDE.search(beyond_ascii(plain)):
        plain = _WIDE_END.sub("\n", plain)
    ended = _END_OF_PIECE.sub(b"\n", _classed(plain)).translate(_WORDS_ONLY)
    tokens = ended.replace(b"\n", b" . ").split()
    kinds = bytes(map(_kinds(language).get, tokens, repeat(0)))
    sentences = kinds.translate(None, _VARIABLE).split(_END)
    others = zip(sentences, map(bytes.count, sentences, repeat(_OTHER)), strict=False)
    doubts = [count > MOST_OTHERS * len(one) or _OWN_WORD not in one or _GAP in one for one, count in others]
    if sum(map(len, compress(sentences, doubts))) <= spared:
        return []
    words = [*compress(tokens, kinds.translate(_IS_WORD))]
    return [b" ".join(piece).decode() for piece in _pieces(words, map(len, sentences), doubts)]


def _pieces(words: list[bytes], lengths: Iterable[int], doubts: Iterable[bool]) -> Iterator[list[bytes]]:
    """The words of the sentences in doubt: short ones together, long ones in parts."""
    waiting, start = list[bytes](), 0
    for length, is_in_doubt in zip(lengths, doubts, strict=True):
        end = start + length
        if is_in_doubt and length >= PIECE:
            size = -(-length // -(-length // LONG_PIECE))  # equal parts: no last one of a word or two
            for begin in range(start, end, size):
                yield words[begin : min(begin + size, end)]
        elif is_in_doubt:
            waiting += words[start:end]
            if len(waiting) >= PIECE:
                yield waiting
                waiting = []
        start = end


@cache
def _kinds(language: str) -> dict[bytes, int]:
    """The kinds of the tokens that are not just words: a letter (or a quotation mark) alone is a variable."""
    kinds = dict.fromkeys(_OWN.get(language, "").encode().split(), _OWN_WORD)
    kinds |= dict.fromkeys(_SHARED.get(language, "").encode().split(), _SHARED_WORD)
    kinds |= {bytes([byte]): _VARIABLE for byte in range(128)} | {b".": _END}
    return {token: kind[0] for token, kind in kinds.items()}


def _classed(plain: str) -> bytes:
    """The prose as UTF-8 in the classes of `_class`; signs beyond ASCII are as those in it."""
    if plain.isascii():
        return plain.encode().translate(_CLASSES)
    if not _LETTER.search(beyond_ascii(plain)):
        return plain.encode().translate(_CLASSES_WITHOUT_LETTERS)
    return _SIGNS.sub("\1", plain).lower().encode().translate(_CLASSES)
