"""Drops traces that give away personal data or secrets in the chain or the answer, or has those of the chain masked.

Six kinds: `email`, `phone`, `iban`, `card` (payment cards), `key` (keys and tokens with a shape of their own) and `ip`
(public IPv4 addresses); contacts.py, accounts.py and keys.py say what counts. What stands in the prompt too is no leak:
the chain quotes the question. Nor is what is reserved or published as an example. Does not see names, street addresses,
dates of birth, passwords, or data that are written in words ("at", "dot").

Nothing is dropped of the 627 chains in `traces/long_reasoning`, of the 2,708 correct solutions in
`labelled/math_l5_outputs`, nor of the other 75,600 completions and 17,900 prompts at hand (119 MB); of the tests in
`prompts/mbpp` two e-mail addresses and two IPv4 addresses, which are some. What stays below the line there: 2,266
numbers of 13 digits and more (four of them, such as 53^6 = 5314410000000001, have a card's range and check digit), 39
rows of 4-4-4-4 binary digits, ten sums with a `+`, steps 1.1.1.1, and 164 texts with an @. Of data planted into
the chains, one each (tests/filters/test_privacy.py), 100 % are found, of telephone numbers 99.7 %, of national ones
after a word for a telephone 99.8 %. 270 MB/s a core on chains of 20 kB, 220 on those of 4.5 kB, 85 on those of 1 kB.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from tracemill.core.errors import InputError, nearest
from tracemill.core.plugins import FilterExample
from tracemill.core.types import Drop, Prompt, Trace
from tracemill.filters.privacy.datum import Datum, folded
from tracemill.filters.privacy.search import KINDS, find


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is looked for, and what becomes of it."""

    kinds: tuple[str, ...] = KINDS
    action: Literal["drop", "mask"] = "drop"
    """`mask` drops only what has data in its answer: masked, it would be another answer than the one that was judged.
    Those of the chain are masked where traces leave (`masked`): in exports, and in what `tracemill sift` keeps."""

    name: ClassVar[str] = "privacy"
    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        if not self.kinds:
            raise InputError(f"kinds: names none (known: {', '.join(KINDS)})")
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(f"kinds: unknown kind {kind!r}{nearest(kind, KINDS)}")

    def check(self, trace: Trace, prompt: Prompt) -> Drop | None:
        """A drop whose reason is the first datum's kind; the detail says where it stands, and shows it redacted."""
        chain = leaks(trace.reasoning, prompt, self.kinds) if self.action == "drop" else []
        told = [("reasoning", one) for one in chain]
        told += [("answer", one) for one in leaks(trace.answer, prompt, self.kinds)]
        if not told:
            return None
        where, first = told[0]
        more = f", and {len(told) - 1} more" if told[1:] else ""
        return Drop(
            trace.id, self.name, self.version, first.kind, f"{where}, character {first.start}: {first.shown}{more}"
        )


def leaks(text: str, prompt: Prompt, kinds: Collection[str] = KINDS) -> list[Datum]:
    """The data of these kinds that the prompt does not hold, in their order."""
    found = find(text, kinds)
    if not found:
        return []
    asked = folded(prompt.text)
    return [one for one in found if one.same not in asked]


def masked(trace: Trace, prompt: Prompt, kinds: Collection[str] = KINDS) -> Trace:
    """The trace with its chain masked. If that changes it, it has no log probabilities left: their tokens are gone."""
    reasoning = masked_text(trace.reasoning, prompt, kinds)
    return trace if reasoning == trace.reasoning else replace(trace, reasoning=reasoning, logprobs=None)


def masked_text(text: str, prompt: Prompt, kinds: Collection[str] = KINDS) -> str:
    """The text with placeholders for its data of these kinds; all else as it was. Masked again it is the same.

    `[EMAIL]`, `[PHONE]`, …; where it holds several of a kind, `[EMAIL_1]`, `[EMAIL_2]`, … in their order, each standing
    for the same datum wherever that stands.
    """
    names: dict[tuple[str, str], str] = {}
    while found := leaks(text, prompt, kinds):  # what was masked may have hidden something
        _name(names, found, text)
        text = _replaced(text, found, names)
    return text


def told_of_masked(drop: Drop) -> Drop:
    """The drop of a trace that is masked: other filters' details may quote it, a half of a datum too."""
    return drop if drop.filter == Privacy.name else replace(drop, detail="not told: the trace holds personal data")


def _name(names: dict[tuple[str, str], str], found: list[Datum], text: str) -> None:
    """Names the data that have no name yet, after those that the text holds already."""
    fresh = dict.fromkeys((one.kind, one.same) for one in found if (one.kind, one.same) not in names)
    for kind in {kind for kind, _ in fresh}:
        several = [one for one in fresh if one[0] == kind]
        taken = re.findall(rf"\[{kind.upper()}(?:_(\d{{1,6}}))?\]", text)
        first = 1 + max((int(number or 1) for number in taken), default=0)
        for number, one in enumerate(several, first):
            names[one] = f"[{kind.upper()}_{number}]" if taken or len(several) > 1 else f"[{kind.upper()}]"


def _replaced(text: str, found: list[Datum], names: dict[tuple[str, str], str]) -> str:
    pieces, end = list[str](), 0
    for one in found:
        pieces += (text[end : one.start], names[one.kind, one.same])
        end = one.end
    return "".join((*pieces, text[end:]))


plugin = Privacy()

_CHAIN = "Let me see. The meeting is at 10, so I write to {} and wait. Then 6 * 7 = 42."
_TOKEN = "ghp_" + "4Kd9wQz1Xv7Lm2Rt8Yb3Nc6Hf5Jg0PsVaUeo"
_NUMBERS = (
    "2^53 = 9007199254740992, 4539578763621486 - 1 = 4539578763621485, 800-200-1000 = -400, 555-1234 - 3, "
    "x = 5 +4915112345678 - 1, 1234567890123456, version 12.34.56.78, 0.1234567, 1/3 +1/4 +1/5, 100 200 3000"
)
_RESERVED = (
    "jane@example.com, user@company.com, git@github.com, (415) 555-0132, +44 20 7946 0958, 192.0.2.1, 10.20.30.40, "
    "AKIAIOSFODNN7EXAMPLE, DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111, sk-your-api-key-goes-here-0000000000"
)
EXAMPLES = (
    FilterExample(_CHAIN.format("the office"), None, "right: nothing personal"),
    FilterExample(
        _CHAIN.format("ann.lee@gmail.com"), None, "right: the prompt names it",
        prompt="Write to Ann.Lee@gmail.com: what is 6 times 7?",
    ),
    FilterExample(
        "His number is 415.392.1874.", None, "right: the prompt's, in another form", prompt="Call (415) 392-1874!"
    ),
    FilterExample(_CHAIN.format("ann.lee@gmail.com"), None, "right: to be masked", options={"action": "mask"}),
    FilterExample(
        "6 * 7 is 42.", "email", "wrong: an answer cannot be masked", answer="42 (ann.lee@gmail.com)",
        options={"action": "mask"},
    ),
    FilterExample(_CHAIN.format("ann.lee@gmail.com"), None, "right: others are asked", options={"kinds": ["key"]}),
    FilterExample(_CHAIN.format("ann.lee@gmail.com"), "email", "wrong: an e-mail address"),
    FilterExample("6 * 7 is 42.", "email", "wrong: in the answer", answer="42 (says ann.lee@gmail.com)"),
    FilterExample("Ask at +49 171 4683579 first.", "phone", "wrong: a number with its country code"),
    FilterExample("Ask at (415) 392-1874 first.", "phone", "wrong: an American number"),
    FilterExample("His phone number is 0171/4683579.", "phone", "wrong: a national number, called one"),
    FilterExample("Pay to DE44 5001 0517 5407 3249 31 now.", "iban", "wrong: a bank account"),
    FilterExample("It was paid with 4539 5787 6362 1486.", "card", "wrong: a card, in groups"),
    FilterExample("My credit card is 4539578763621486.", "card", "wrong: a card, called one"),
    FilterExample(f"I log in with {_TOKEN} then.", "key", "wrong: a token"),
    FilterExample("I connect to 93.184.216.34 first.", "ip", "wrong: a public address"),
    FilterExample(_RESERVED, None, "adversarial: data that are examples"),
    FilterExample(_NUMBERS, None, "adversarial: numbers that look like data"),
    FilterExample("A@B.T + x@w.mean(0) and @app.route, 5 @ 3.50", None, "adversarial: code with @"),
    FilterExample("邮箱是ann.lee@gmail.com。", "email", "adversarial: between Chinese characters"),
    FilterExample("Ask at (415) 392‑1874 first.", "phone", "adversarial: with a hyphen that does not break"),
)  # fmt: skip
