"""E-mail addresses, telephone numbers and public IPv4 addresses in a text.

Telephone numbers are `+` and a country code, valid in that country's plan (`phonenumbers`, Google's metadata); North
American numbers written (415) 392-1234, 415-392-1234 or 415.392.1234, valid too; and 9 to 13 digits at most 20
characters after a word for a telephone. Bare digits are none: mathematics is full of them. No data are what is reserved
for examples (RFC 2606, RFC 5737, NANPA's 555, Ofcom's and ARCEP's numbers for drama) and the names and numbers that
people make up (user@…, 123456…).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tracemill.filters.privacy.datum import Datum, folded
from tracemill.filters.privacy.reserved import RESOLVERS, is_example_email, is_example_phone

_TOP_LEVEL = """
com org net edu gov mil int info biz name pro app dev xyz online site website tech technology store cloud shop blog live
email mail mobi tel cat asia travel jobs museum aero coop agency academy digital network systems solutions software
company group media news club life world today space work zone art design studio health care bank law legal school
university science berlin london paris tokyo nyc
"""
_GENERIC = frozenset(_TOP_LEVEL.split())
"""Domains beside those of two letters: `x@w.mean` is code."""
_HOST = re.compile(r"[A-Za-z0-9.-]{3,253}")
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*\Z")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_NAME = 64
"""Characters before the @ (RFC 5321)."""

_SPACE = r" \u00a0\u202f"
_DASH = r"\-\u2010\u2011\u2013"
_OPERATOR = r" ?(?:[=/+×]|\*(?!\*))"
"""After a number in mathematics; `**` is Markdown's."""
_ABROAD = re.compile(rf"\+(?<![\w)\]}}.+]\+)\(?\d[\d().{_DASH}/{_SPACE}]{{5,}}\d", re.ASCII)
_AMERICAN = re.compile(
    rf"(?<![\w.,+/^=${_DASH}])(?<![\w)]\*)(?:\+?1[ .{_DASH}])?"
    rf"(?:\([2-9]\d\d\)[{_SPACE}{_DASH}]?|[2-9]\d\d([.{_DASH}]))[2-9]\d\d(?(1)\1|[.{_DASH}{_SPACE}])\d{{4}}"
    rf"(?![\w(^]|[.,{_DASH}]\d|{_OPERATOR})",
    re.ASCII,
)
_SAID = re.compile(
    r"(?i:\b(?:(?:tele|cell)?phones?|mobile|fax|tel|whatsapp|telefon\w{0,8}|tel[eé]fono|t[eé]l[eé]phone|"
    r"call (?:me|us|him|her)|text me)\b|电话|電話|手机|手機|電話番号)[^\d\n?!$€£=+]{0,20}"
    rf"((?:\(\d{{2,5}}\)[{_DASH}/{_SPACE}]?)?\d(?:[.{_DASH}/{_SPACE}]?\d){{5,12}})(?![\w(^]|[.,]\d|{_OPERATOR})",
    re.ASCII,
)
_WORD, _REACH = 12, 90
"""Characters before and after the part of a word that was found, which hold the word and its number."""
_LONGEST = 40
"""Characters that hold any number with its country code and separators."""
_QUAD = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)", re.ASCII)
_NUMBERED = re.compile(r"(?i:\b(?:v|ver|version|release|build|section|chapter|table|figure|oid)\.?|§|#)\s?$")


def emails(text: str) -> Iterator[Datum]:
    """Addresses under a domain that exists, without those reserved or made up."""
    at = text.find("@")
    while at >= 0:
        host = _host(text, at + 1)
        name = _LOCAL.search(text[max(0, at - _LONGEST_NAME) : at].rsplit("..", 1)[-1]) if host else None
        if host and name and not name[0].endswith(".") and not is_example_email(name[0], host):
            start = at - len(name[0])
            shown = f"{name[0][0]}…@{host}" if len(name[0]) > 1 else f"…@{host}"
            yield Datum("email", start, at + 1 + len(host), folded(name[0] + host), shown)
        at = text.find("@", at + 1)


def _host(text: str, start: int) -> str | None:
    """The domain that begins there, without what a missing space glued to it."""
    found = _HOST.match(text, start)
    if not found:
        return None
    labels = found[0].rstrip(".-").split(".")
    while len(labels) > 2 and not _is_top(labels[-1]):
        labels.pop()
    host = ".".join(labels)
    if len(labels) < 2 or len(labels[-2]) < 2 or not _is_top(labels[-1]) or not all(map(_LABEL.fullmatch, labels)):
        return None
    return None if text[start + len(host) : start + len(host) + 1] in ("(", "[", "_") else host


def _is_top(label: str) -> bool:
    return label.lower() in _GENERIC or (len(label) == 2 and label.isalpha() and (label.islower() or label.isupper()))


def phones_abroad(text: str) -> Iterator[Datum]:
    """Numbers with `+` and a country code."""
    import phonenumbers

    for candidate in _ABROAD.finditer(text):
        for found in phonenumbers.PhoneNumberMatcher(candidate[0][:_LONGEST], None):
            digits = str(found.number.national_number)
            if found.start == 0 and not is_example_phone(digits):
                end = candidate.start() + found.end
                yield Datum("phone", candidate.start(), end, digits, f"+{found.number.country_code} …{digits[-2:]}")
            break


def phones_american(text: str) -> Iterator[Datum]:
    """North American numbers with their separators."""
    import phonenumbers

    for found in _AMERICAN.finditer(text):
        digits = "".join(filter(str.isdecimal, found[0]))[-10:]
        number = phonenumbers.PhoneNumber(country_code=1, national_number=int(digits))
        if digits[5] == "0" and digits.endswith("00"):  # 800-200-1000 is -400
            continue
        if not is_example_phone(digits) and phonenumbers.is_valid_number(number):
            yield Datum("phone", found.start(), found.end(), digits, f"…{digits[-2:]}")


def phones_said(text: str, places: Iterable[int]) -> Iterator[Datum]:
    """Digits of any country after a word for a telephone, which stands at one of these places."""
    for place in places:
        begin = max(0, place - _WORD)
        for found in _SAID.finditer(text[begin : place + _REACH]):
            digits = "".join(filter(str.isdecimal, found[1]))
            if 9 <= len(digits) <= 13 and not is_example_phone(digits):
                start, end = begin + found.start(1), begin + found.end(1)
                yield Datum("phone", start, end, digits.lstrip("0"), f"…{digits[-2:]}")


def addresses(text: str) -> Iterator[Datum]:
    """Public IPv4 addresses. At least three of the four numbers have two digits: section 3.1.4.12 is none."""
    import ipaddress

    for found in _QUAD.finditer(text):
        parts = found[0].split(".")
        before = text[max(0, found.start() - 12) : found.start()]
        if sum(len(part) > 1 for part in parts) < 3 or _NUMBERED.search(before):
            continue
        try:
            address = ipaddress.IPv4Address(found[0])
        except ValueError:  # over 255, or a leading zero
            continue
        if address.is_global and not address.is_multicast and found[0] not in RESOLVERS:
            yield Datum("ip", found.start(), found.end(), folded(found[0]), f"{parts[0]}.…")
