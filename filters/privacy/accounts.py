"""Bank accounts (IBAN) and payment cards in a text.

An IBAN has its country's structure and its check digits (`python-stdnum`, from SWIFT's registry). A card has an
issuer's range, that range's length and Luhn's check digit, and is written in groups (4-4-4-4, 4-6-5), or stands at most
40 characters after a word for a card: one in fifty numbers of 16 digits passes range and check digit, and chains are
full of those. No data are the numbers that banks and payment services publish for tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracemill.filters.privacy.datum import Datum
from tracemill.filters.privacy.reserved import is_published

_SPACE = r" \u00a0\u202f"
_DASH = r"\-\u2010\u2011\u2013"
_IBAN = re.compile(
    rf"(?<![A-Za-z0-9])[A-Z]{{2}}\d\d(?:[{_SPACE}]?[A-Z0-9]{{4}}){{2,7}}(?:[{_SPACE}]?[A-Z0-9]{{1,3}})?(?!\w)", re.ASCII
)
_GROUP = re.compile(r"\w+")
_CARD = re.compile(
    rf"(?<![\w.,+/^=])(?<![\w)]\*)(?<!\d[{_SPACE}{_DASH}])"
    rf"(?:\d{{4}}([{_SPACE}{_DASH}])\d{{4}}\1\d{{4}}\1\d{{4}}|\d{{4}}([{_SPACE}{_DASH}])\d{{6}}\2\d{{5}}|(\d{{13,19}}))"
    rf"(?![\w^]|[.,]\d|[{_SPACE}{_DASH}]\d| ?(?:[=/+×]|\*(?!\*)))",
    re.ASCII,
)
_SAID = re.compile(
    r"(?i:\b(?:card|credit|debit|visa|master ?card|amex|american express|maestro)\b|卡号|信用卡)", re.ASCII
)
_BEFORE = 40
"""Characters before a card's number in which it may be called one."""
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}"  # Discover
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}"  # UnionPay
)


def ibans(text: str) -> Iterator[Datum]:
    """Bank accounts, in one piece or in groups of four."""
    from stdnum import iban

    for candidate in _IBAN.finditer(text):
        for end in reversed([group.end() for group in _GROUP.finditer(candidate[0])]):  # a next word may look like one
            plain = "".join(_GROUP.findall(candidate[0][:end]))
            if iban.is_valid(plain):
                if not is_published(plain):
                    yield Datum(
                        "iban", candidate.start(), candidate.start() + end, plain.lower(), f"{plain[:2]}…{plain[-2:]}"
                    )
                break


def cards(text: str) -> Iterator[Datum]:
    """Payment cards."""
    from stdnum import luhn

    for found in _CARD.finditer(text):
        digits = "".join(filter(str.isdecimal, found[0]))
        if not _ISSUERS.fullmatch(digits) or is_published(digits) or len(set(digits)) < 3 or not luhn.is_valid(digits):
            continue
        if found[3] and not _SAID.search(text[max(0, found.start() - _BEFORE) : found.start()]):
            continue
        yield Datum("card", found.start(), found.end(), digits, f"…{digits[-2:]}")
