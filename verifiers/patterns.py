r"""JSON Schema's regular expressions in Python's `re`: the dialect is ECMA 262, with its `u` flag.

Translated is what both dialects accept and read otherwise: `$` is the end of the text only, not before a line break;
\d \w \b are ASCII; \s is every Unicode space; `.` stops at four line ends; (?<name>…), \u{…}, \cX, [] and [^] are
spelt as Python has them. What ECMA refuses and Python reads, (?i) at the start for one, keeps Python's meaning, but for
the flags that change what is translated: those are refused. \p{…} is not covered: Python has no such classes.
"""

from __future__ import annotations

import re

Ranges = tuple[tuple[int, int], ...]
_LAST = 0x10FFFF
_SPACES: Ranges = (
    (0x9, 0xD), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": _SPACES,
}
_LINE_ENDS = r"\n\r\u2028\u2029"
_TOKEN = re.compile(
    r"\\u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|\\u(?P<high>[dD][89abAB][0-9A-Fa-f]{2})\\u(?P<low>[dD][c-fC-F][0-9A-Fa-f]{2})"
    r"|\\c(?P<control>[A-Za-z])|\\0(?![0-9])|\\k<(?P<back>\w+)>|\\(?P<escaped>.)"
    r"|\(\?<(?P<group>(?![=!])\w+)>|(?P<flags>\(\?[a-zA-Z]*(?:-[a-zA-Z]+)?[:)])|(?P<empty>\[\^?\])|.",
    re.DOTALL,
)


class NotTranslated(ValueError):
    """The pattern has no equal in Python; the message says what it is."""


def python_pattern(pattern: str) -> str:
    """The pattern as Python reads the same. Raises NotTranslated; what it gives may still not compile."""
    parts: list[str] = []
    in_class = False
    at = 0
    while match := _TOKEN.match(pattern, at):
        token = match[0]
        if in_class and (match["empty"] or match["group"] or match["flags"]):  # signs like any other, inside [...]
            token = token[0]
        elif match["flags"]:
            _check_flags(token, at)
        at += len(token)
        if token[0] == "\\":
            parts.append(_escape(match, in_class))
        elif in_class:
            parts.append("\\" + token if token in "[&~|" else token)
            in_class = token != "]"
        elif token == "[" or (token == "[^" and not match["empty"]):
            in_class = True
            parts.append(token)
        else:
            parts.append(_sign(match, token))
    return "".join(parts)


def _sign(match: re.Match[str], token: str) -> str:
    """What stands outside of a class and is no escape."""
    if match["group"]:
        return f"(?P<{match['group']}>"
    return {"$": r"\Z", ".": f"[^{_LINE_ENDS}]", "[]": "(?!)", "[^]": r"[\s\S]"}.get(token, token)


def _escape(match: re.Match[str], in_class: bool) -> str:
    if match["braced"]:
        return _character(int(match["braced"], 16))
    if match["high"]:
        return _character(0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(match["low"], 16) - 0xDC00)
    if match["control"]:
        return _character(ord(match["control"]) % 32)
    if match["back"]:
        return f"(?P={match['back']})"
    if match[0] == r"\0":
        return r"\x00"
    sign = match["escaped"]
    if sign is None:  # a backslash at the end, which does not compile
        return match[0]
    if sign in "bB" and not in_class:
        return rf"(?a:\{sign})"
    known = _CLASSES.get(sign.lower())
    if known is None:
        return match[0]
    inner = "".join(
        f"{_character(low)}-{_character(high)}" for low, high in (known if sign.islower() else _others(known))
    )
    return inner if in_class else f"[{inner}]"


def _others(ranges: Ranges) -> Ranges:
    """All characters that are not in the ranges, which are in order."""
    starts = [0, *(high + 1 for _, high in ranges)]
    ends = [*(low - 1 for low, _ in ranges), _LAST]
    return tuple((low, high) for low, high in zip(starts, ends, strict=True) if low <= high)


def _character(code: int) -> str:
    if code > _LAST:
        raise NotTranslated("no such character")
    return f"\\U{code:08x}"


def _check_flags(token: str, at: int) -> None:
    """(?i) at the start and (?i:…) anywhere keep Python's meaning; others would change what is translated."""
    if token.strip("(?:)").strip("-i") or (token == "(?i)" and at):
        raise NotTranslated(f"the flags {token}")
