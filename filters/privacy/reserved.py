"""What has the form of personal data and is none: reserved for examples, published for tests, or made up."""

from __future__ import annotations

import re

_HOSTS = """
domain.com yourdomain.com mydomain.com somedomain.com company.com yourcompany.com mycompany.com test.com website.com
site.com server.com host.com sample.com foo.com bar.com abc.com xyz.com acme.com
"""
_NAMES = """
user username name yourname your.name your_name firstname.lastname first.last someone somebody you foo bar baz test
example email john.doe jane.doe johndoe janedoe john_doe jane_doe git noreply no-reply donotreply
"""
_NUMBERS = """
4111111111111111 4012888888881881 4242424242424242 4000056655665556 4000000000000002 4917610000000000 4222222222222
5555555555554444 5105105105105100 5200828282828210 5454545454545454 2223003122003222 2223000048400011 378282246310005
371449635398431 378734493671000 6011111111111117 6011000990139424 6011000000000004 30569309025904 38520000023237
3530111333300000 3566002020360505 6200000000000005
GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555 GB94BARC10201530093459 DE89370400440532013000
DE75512108001245126199 FR1420041010050500013M02606 FR7630006000011234567890189 NL91ABNA0417164300 BE68539007547034
CH9300762011623852957 ES9121000418450200051332 IT60X0542811101000000123456 AT611904300234573201 IE29AIBK93115212345678
PL61109010140000071219812874 SE4550000000058398257466 NO9386011117947 DK5000400440116243 FI2112345600000785
PT50000201231234567890154 LU280019400644750000 GR1601101250000000012300695 SA0380000000608010167519
TR330006100519786457841326
"""
"""Cards of PayPal, Stripe and Adyen; accounts of SWIFT's registry and Wikipedia."""
_MADE_UP_HOSTS = frozenset(_HOSTS.split())
_MADE_UP_NAMES = frozenset(_NAMES.split())
_PUBLISHED = frozenset(_NUMBERS.split())
_DRAMA = re.compile(
    r"\d{3}555\d{4}"  # NANPA: 555-0100 to 555-0199 are fiction, and no other number of exchange 555 is in use
    r"|0?(?:2079460|1632960|7700900|1[1-6][1-8]4960|1914980|8081570|9098790)\d{3}"  # Ofcom
    r"|0?(?:19900|26191|35301|46571|53649|63998)\d{4}"  # ARCEP, décision 2018-0881
)
_UP = "01234567890"
_RUNS = {_UP[at : at + 6] for at in range(6)} | {_UP[::-1][at : at + 6] for at in range(6)} | {6 * one for one in _UP}
_KEY = re.compile(
    r"(?i:example|your[_-]|dummy|placeholder|redacted|xxxx|1234567890|abcdefgh|eyJzdWIiOiIxMjM0NTY3ODkwIiwi)"
)
"""The last begins the payload of jwt.io's token, {"sub":"1234567890","."""
RESOLVERS = frozenset(("208.67.222.222", "208.67.220.220", "149.112.112.112", "94.140.14.14", "76.76.19.19"))
"""Public name servers."""


def is_example_email(name: str, host: str) -> bool:
    """Whether the domain is reserved (RFC 2606), or name or domain are what people write for anybody's."""
    labels = host.lower().split(".")
    return (
        "example" in labels[-2:]
        or labels[-1] in ("test", "invalid", "localhost")
        or host.lower() in _MADE_UP_HOSTS
        or name.lower() in _MADE_UP_NAMES
    )


def is_example_phone(digits: str) -> bool:
    """Whether a number without its country code is kept for fiction, or has six digits on end that run up (345678), run
    down or are one digit."""
    return _DRAMA.fullmatch(digits) is not None or any(digits[at : at + 6] in _RUNS for at in range(len(digits) - 5))


def is_published(number: str) -> bool:
    """Whether a card or an account is one that documentation shows."""
    return number in _PUBLISHED


def is_example_key(key: str) -> bool:
    """Whether a key says that it is none."""
    return _KEY.search(key) is not None
