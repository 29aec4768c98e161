"""The form in which texts of any script are compared: what `exact` and `choice` call the same text.

`fold` is the documented normalisation; `near` is a much coarser one, by which a verifier knows that it should not call
two texts different. Knows nothing of numbers, units or LaTeX beyond the wrappers that stand around a word.
"""

from __future__ import annotations

import re
import unicodedata

_COMMAND = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed|fbox|emph)\s*\{")
_DOLLARS = re.compile(r"\$([^$]+)\$|\$\$([^$]+)\$\$|\\\((.*)\\\)|\\\[(.*)\\\]", re.DOTALL)
_AROUND = " \t\r\n\"'`´‘’‚‛“”„‟«»‹›「」『』《》〈〉*_"
_AFTER = ".,;:。．，、；：｡।۔"
_SPELLING_MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
_NO_CONTENT = re.compile(r"[^\w%$€£¥+=<>/\\^~|°-]|_")
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\S)")


def unwrapped(text: str) -> str:
    """The text without the \\text{}, $…$ or markdown emphasis that stands around all of it."""
    while True:
        bare = text.strip().strip("*_`").strip()
        if match := _DOLLARS.fullmatch(bare):
            bare = next(group for group in match.groups() if group is not None)
        elif (match := _COMMAND.match(bare)) and _closes_at_end(bare, match.end()):
            bare = bare[match.end() : -1]
        if bare == text:
            return text
        text = bare


def _closes_at_end(text: str, start: int) -> bool:
    """Whether the brace before `start` is closed by the last character."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0:
            return match.end() == len(text)
    return False


def fold(text: str, case: bool = False) -> str:
    """NFKC (² ½ ™ kept: 2⁵ is not 25), case folded unless `case`, one space for white space, no marks around it."""
    plain = unwrapped(_compatible(text))
    plain = plain if case else unicodedata.normalize("NFC", plain.casefold())
    plain = " ".join(plain.split())
    while True:
        bare = plain.strip(_AROUND).rstrip(_AFTER)
        if bare == plain:
            return plain
        plain = bare


def bare(text: str) -> str:
    """`fold` without accents and invisible characters."""
    plain = fold("".join(char for char in text if not _is_invisible(char)))
    return unicodedata.normalize("NFC", _SPELLING_MARKS.sub("", unicodedata.normalize("NFD", plain)))


def near(text: str) -> str:
    """`bare` without a leading article and ! or ? at the end, and without punctuation where there is no digit."""
    plain = _ARTICLE.sub("", bare(text)).rstrip("!?！？… ").lstrip("¡¿ ")
    if any(char.isdigit() for char in plain):
        return plain
    return re.sub(r"[-\s]", "", _NO_CONTENT.sub("", plain)) or plain


def holds(text: str, part: str) -> bool:
    """Whether the part stands in the text as words of its own, both as `bare` sees them."""
    inner = bare(part)
    if not inner:
        return False
    before = r"(?<![\w.,/+-])" if _has_spaces(inner[0]) else ""
    after = r"(?!\w|[.,/-]\w)" if _has_spaces(inner[-1]) else ""
    return re.search(before + re.escape(inner) + after, bare(text)) is not None


def _has_spaces(char: str) -> bool:
    """Whether the script of this letter puts spaces between words: not Chinese, Japanese, Thai, Lao, Khmer, Burmese."""
    return char.isalnum() and not re.match(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]", char)


def _is_invisible(char: str) -> bool:
    """Format characters (soft hyphen, zero-width, direction marks) and the selectors of a glyph's variant."""
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f"


def _compatible(text: str) -> str:
    """NFKC, but for the characters whose place or form is their meaning."""
    if text.isascii():
        return text
    parts: list[str] = []
    run: list[str] = []
    for char in text:
        if unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<fraction>")):
            parts += [unicodedata.normalize("NFKC", "".join(run)), char]
            run = []
        else:
            run.append(char)
    return "".join([*parts, unicodedata.normalize("NFKC", "".join(run))])
