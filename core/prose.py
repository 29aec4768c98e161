"""The prose in a chain of thought: the text without code, LaTeX, URLs and tags, so that only words are judged.

Does not look at languages: `core.scripts.hidden_runs` finds foreign text in what is cut out. Every pattern stops at the
next opening mark, so the time is linear in the text, whatever stands in it. What is opened and never closed hides
nothing: it counts as prose.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_MARKED = (
    r"`[^`\n]+`"
    r"|\$\$[^$]*+\$\$|\$(?=\S)[^$\n]++(?<=\S)\$(?!\d)|\$ [^$\n]++ \$"  # "$5 and $6" are prices
    r"|\\\([^\\]*+(?:\\[^()][^\\]*+)*+\\\)|\\\[[^\\]*+(?:\\[^\[\]][^\\]*+)*+\\\]"
    r"|\\begin\{[^{}\n]{1,40}\}[^\\]*+(?:\\(?!begin\{|end\{)[^\\]*+)*+\\end\{[^{}\n]{1,40}\}"
    r"|\\[a-zA-Z]+\*?(?:\{[^{}]*\})*"
    r"|</?[A-Za-z][\w:-]*(?:\s+[\w:-]+=[^<>\n]*)?\s*/?>|<\|[^|<>\n]{1,40}\|>"
)
_NOT_PROSE = re.compile(_MARKED)
_NOT_PROSE_AND_URLS = re.compile(rf"{_MARKED}|https?://[!-~]+|www\.[!-~]+")
"""Half as fast: it stops at every h and w."""
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def prose(text: str) -> str:
    """The text with each piece that is not prose replaced by a space; line breaks stay. Encodable as UTF-8."""
    plain = _without_fences(text)
    if "://" in plain or "www." in plain:
        plain = _NOT_PROSE_AND_URLS.sub(" ", plain)
    elif any(mark in plain for mark in "`$\\<"):
        plain = _NOT_PROSE.sub(" ", plain)
    try:
        plain.encode()  # twenty times as fast as to look for surrogates
    except UnicodeEncodeError:
        plain = _SURROGATES.sub(" ", plain)
    return plain.replace("\0", " ")


def _without_fences(text: str) -> str:
    """Fenced blocks cut out: each fence line closes the one before it."""
    if "```" not in text and "~~~" not in text:
        return text
    kept, start = [], 0
    fences = list(_FENCE.finditer(text))
    for opening, closing in zip(fences[::2], fences[1::2], strict=False):
        kept.append(text[start : opening.start()])
        start = closing.end()
    return " ".join([*kept, text[start:]])
