"""The form in which texts of any script are compared: what `exact` and `choice` call the same text.

`fold` is the documented normalisation; `near` is a much coarser one, by which a verifier knows that it should not call
two texts different. Knows nothing of numbers, units or LaTeX beyond the wrappers that stand around a word.
"""

from __future__ import annotations

import re
import unicodedata

_COMMAND = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed|fbox|emph)\s*\{")
_DOLLARS = re.compile(r"\$([^$]+)\$|\$\$([^$]+)\$\$|\\\((.*)\\\)|\\\[(.*)\\\]", re.DOTALL)
_PAIRS = {
    '"': '"', "'": "'", "´": "´", "“": "”", "„": "“”‟", "‟": "”", "‘": "’", "‚": "‘’", "‛": "’", "«": "»", "»": "«",
    "‹": "›", "›": "‹", "「": "」", "『": "』", "《": "》", "〈": "〉",
}  # fmt: skip
"""Quotation marks with those that close them. A mark without its partner is text: f', 5", C*."""
_AFTER = ".,;:。．，、；：｡।۔"
_SPELLING_MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
_NO_CONTENT = re.compile(r"[^\w%$€£¥+=<>/\\^~|°-]|_")
_DASHES = re.compile("[\u2010-\u2015\ufe58]")
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\S)")


def unwrapped(text: str) -> str:
    """The text without the \\text{}, $…$ or markdown emphasis (pairs of * or `) that stands around all of it."""
    while True:
        bare = _without_run(text.strip(), "*`").strip()
        if match := _DOLLARS.fullmatch(bare):
            bare = next(group for group in match.groups() if group is not None)
        elif (match := _COMMAND.match(bare)) and closing_brace(bare, match.end() - 1) == len(bare):
            bare = bare[match.end() : -1]
        if bare == text:
            return text
        text = bare


def closing_brace(text: str, at: int) -> int:
    """Index after the brace that closes the one at `at`, or -1."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0 and match[0] == "}":
            return match.end()
    return -1


def _without_run(text: str, marks: str) -> str:
    """Without a run of one of the marks that stands as long at both ends of the text, and nowhere else in it."""
    if len(text) < 2 or text[0] not in marks or text[-1] != text[0]:
        return text
    inner = text.strip(text[0])
    ends = len(text) - len(text.lstrip(text[0])), len(text) - len(text.rstrip(text[0]))
    return inner if inner and ends[0] == ends[1] and text[0] not in inner else text  # ** alone is the power operator


def _unquoted(text: str) -> str:
    """Without the pair of quotation marks around all of the text."""
    if len(text) < 2 or text[-1] not in _PAIRS.get(text[0], ""):
        return text
    inner = text[1:-1]
    return text if text[0] in inner or text[-1] in inner else inner


def fold(text: str, case: bool = False) -> str:
    """NFKC (² ½ ™ kept: 2⁵ is not 25), case folded unless `case` (ß kept), one space for white space.

    Without pairs of quotation marks and emphasis around it, and without a full stop and its like at its end.
    """
    plain = unwrapped(_compatible(text))
    plain = plain if case else unicodedata.normalize("NFC", _lower(plain))
    plain = " ".join(plain.split())
    while True:
        bare = _unquoted(_without_run(plain, "*`")).strip().rstrip(_AFTER).rstrip()
        if bare == plain:
            return plain
        plain = bare


def _lower(text: str) -> str:
    """Case folded, but Maße stays other than Masse."""
    return "ß".join(part.casefold() for part in text.replace("ẞ", "ß").split("ß"))


def bare(text: str) -> str:
    """`fold` without accents and invisible characters."""
    plain = fold("".join(char for char in text if not _is_invisible(char)))
    return unicodedata.normalize("NFC", _SPELLING_MARKS.sub("", unicodedata.normalize("NFD", plain)))


def near(text: str) -> str:
    """`bare` without a leading article, marks at the ends, and punctuation where there is no digit.

    Dashes are hyphens, ß is ss; H₂O, H_2O and H2O are the same, as are x², x^2 and x2, ½ and 1/2, but not 2⁵ and 25.
    """
    plain = _ARTICLE.sub("", _DASHES.sub("-", bare(text))).rstrip("!?！？… ").lstrip("¡¿ ")
    plain = re.sub(r"\^\{([^{}]*)\}", r"^\1", _spelt_out(plain).casefold())
    plain = re.sub(r"(?<=[^\W\d])[_^]\{?(\d+)\}?", r"\1", plain)
    if any(char.isdigit() for char in plain):
        return " ".join(plain.strip("*_`").split()) or plain
    return re.sub(r"[-\s]", "", _NO_CONTENT.sub("", plain)) or plain


def _spelt_out(text: str) -> str:
    """Raised signs as a power, lowered ones as themselves, a fraction as its two numbers."""
    parts: list[str] = []
    before = ""
    for char in text:
        kind = unicodedata.decomposition(char).partition(" ")[0] if not char.isascii() else ""
        form = unicodedata.normalize("NFKC", char).replace("\u2044", "/").replace("\u2212", "-") if kind else char
        marks = {"<fraction>": " ", "<super>": "" if before == kind else "^", "<sub>": ""}
        parts.append(marks[kind] + form if kind in marks else char)
        before = kind
    return "".join(parts)


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
    """NFKC and one minus sign, but for the characters whose place or form is their meaning."""
    if text.isascii():
        return text
    text = text.replace("\u2212", "-")
    parts: list[str] = []
    run: list[str] = []
    for char in text:
        if unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<fraction>")):
            parts += [unicodedata.normalize("NFKC", "".join(run)), char]
            run = []
        else:
            run.append(char)
    return "".join([*parts, unicodedata.normalize("NFKC", "".join(run))])
