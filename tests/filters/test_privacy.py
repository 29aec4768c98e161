"""Data planted into real chains, what of real chains is called data, and masking."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from tracemill.core.errors import InputError
from tracemill.core.types import Item, Prompt
from tracemill.filters.privacy import Privacy, leaks, masked
from tracemill.filters.privacy.search import KINDS, find

MakeItem = Callable[..., Item]
Dice = random.Random
ALNUM = string.ascii_letters + string.digits
PLACEHOLDER = re.compile(r"\[(?:EMAIL|PHONE|IBAN|CARD|KEY|IP)(?:_\d+)?\]")
NOTHING = Prompt("p", "What is 6 * 7?", "test", "math", "42", "test")
FRAMES = (
    " {} ", "({})", ": {}, ", "\n{}\n", "**{}**", "`{}`", '"{}"', " {}.\n", "\\text{{{}}}", "<{}>", "“{}”", "：{}。", " {}; ", "是{}吗",
)  # fmt: skip


def some(dice: Dice, letters: str, count: int) -> str:
    return "".join(dice.choices(letters, k=count))


def an_email(dice: Dice) -> str:
    name = dice.choice(("anna", "j.smith", "li_wei", "o+news", "x7", "Kurt.Weiss-Braun", "r%d"))
    host = dice.choice(("gmail.com", "163.com", "web.de", "cs.stanford.edu", "mail.co.uk", "Proton.me", "tu-berlin.de"))
    return f"{name}{dice.randrange(99)}@{host}"


def a_phone(dice: Dice) -> str:
    """Valid in a country's plan, in the form that `phonenumbers` gives it, or as Americans write it."""
    if dice.random() < 0.3:
        area, office, line = dice.choice(("415", "212", "303", "617")), dice.randrange(620, 990), dice.randrange(10_000)
        form = dice.choice(("({}) {}-{:04}", "{}-{}-{:04}", "{}.{}.{:04}", "1-{}-{}-{:04}", "({}) {}‑{:04}"))
        return form.format(area, office, line)
    while True:
        region = dice.choice(("DE", "FR", "GB", "CN", "IN", "BR", "JP", "ES", "PL", "ZA", "MX", "KR", "CH", "RU"))
        example = phonenumbers.example_number_for_type(region, dice.choice((0, 1)))
        assert example is not None
        assert example.national_number is not None
        digits = str(example.national_number)
        example.national_number = int(digits[:-5] + some(dice, string.digits, 5)) if len(digits) > 7 else 0
        if phonenumbers.is_valid_number(example):
            style = dice.choice((phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164))
            return phonenumbers.format_number(example, style)


def a_national_phone(dice: Dice) -> str:
    word = dice.choice(("phone: ", "Tel. ", "my phone number is ", "call me at ", "mobile: ", "电话：", "Telefon "))
    digits = some(dice, "245679", 7)
    return word + dice.choice(("0171 {}", "030/{}", "(0221) {}", "06 7{}", "9817{}", "138{}2")).format(digits)


def an_iban(dice: Dice) -> str:
    country, length = dice.choice((("DE", 18), ("AT", 16), ("DK", 14), ("PL", 24), ("LT", 16), ("SE", 20)))
    account = some(dice, string.digits, length)
    if country == "PL":  # the bank's code has a check digit of its own
        return an_iban(dice)
    plain = f"{country}{mod_97_10.calc_check_digits(account + country)}{account}"
    groups = " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    return dice.choice((plain, groups))


def a_card(dice: Dice) -> str:
    prefix, length = dice.choice((("4", 16), ("53", 16), ("2321", 16), ("6011", 16), ("37", 15)))
    digits = prefix + some(dice, string.digits, length - len(prefix) - 1)
    digits += luhn.calc_check_digit(digits)
    sizes = (4, 6, 5) if length == 15 else (4, 4, 4, 4)
    if dice.random() < 0.3:
        return f"card {digits}"
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    return dice.choice((" ", "-")).join(digits[at : at + size] for at, size in zip(starts, sizes, strict=True))


def a_key(dice: Dice) -> str:
    def pem() -> str:
        lines = [base64.b64encode(dice.randbytes(48)).decode() for _ in range(4)]
        return "\n".join(("-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"))

    def token(letters: str, count: int) -> str:
        return some(dice, letters, count)

    def part() -> str:
        return "eyJ" + token(ALNUM + "_", 40)

    url = ALNUM + "_-"
    return dice.choice((
        lambda: f"AKIA{token(string.ascii_uppercase + string.digits, 16)}",
        lambda: f'aws_secret_access_key = "{token(ALNUM + "/+", 40)}"',
        lambda: f"gh{dice.choice('pousr')}_{token(ALNUM, 36)}",
        lambda: f"github_pat_{token(ALNUM, 22)}_{token(ALNUM, 59)}",
        lambda: f"sk-{token(ALNUM, 20)}T3BlbkFJ{token(ALNUM, 20)}",
        lambda: f"sk-proj-{token(ALNUM, 74)}T3BlbkFJ{token(ALNUM, 74)}",
        lambda: f"sk-ant-api03-{token(url, 92)}aAA",
        lambda: f"sk-{token('0123456789abcdef', 32)}",
        lambda: f"xoxb-{token(string.digits, 12)}-{token(string.digits, 12)}-{token(ALNUM, 24)}",
        lambda: f"https://hooks.slack.com/services/T{token(ALNUM.upper(), 8)}/B{token(ALNUM.upper(), 8)}/{token(ALNUM, 24)}",
        lambda: f"AIza{token(url, 34)}7",
        lambda: f"glpat-{token(url, 19)}7",
        lambda: f"hf_{token(string.ascii_letters, 34)}",
        lambda: f"sk_live_{token(ALNUM, 24)}",
        lambda: f"npm_{token(ALNUM, 36)}",
        lambda: f"{part()}.{part()}.{token(ALNUM, 43)}",
        pem,
    ))()  # fmt: skip


def an_address(dice: Dice) -> str:
    return f"{dice.randrange(23, 90)}.{dice.randrange(10, 256)}.{dice.randrange(10, 256)}.{dice.randrange(1, 255)}"


MAKERS: dict[str, tuple[str, Callable[[Dice], str], float]] = {
    "email": ("email", an_email, 0.99), "phone": ("phone", a_phone, 0.95), "national": ("phone", a_national_phone, 0.9),
    "iban": ("iban", an_iban, 0.99), "card": ("card", a_card, 0.98), "key": ("key", a_key, 0.98), "ip": ("ip", an_address, 0.98),
}  # fmt: skip


def of(real_data: Path, name: str) -> Iterator[dict[str, str]]:
    with gzip.open(real_data / f"{name}.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def chains(real_data: Path) -> list[str]:
    return [row["reasoning"] for row in of(real_data, "traces/long_reasoning")]


@pytest.mark.parametrize("name", MAKERS)
def test_planted_data_are_found(name: str, chains: list[str]) -> None:
    kind, make, least = MAKERS[name]
    dice = random.Random(5)
    missed = list[str]()
    for chain in chains:
        datum, at = make(dice), dice.choice([place for place, sign in enumerate(chain) if sign == " "] or [0])
        frame = dice.choice(FRAMES).format(datum)
        found = find(chain[:at] + frame + chain[at:])
        start = at + frame.index(datum)
        if not any(one.kind == kind and start <= one.start < one.end <= start + len(datum) for one in found):
            missed.append(frame)
    assert len(missed) <= (1 - least) * len(chains), missed


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("traces/long_reasoning", "reasoning"), ("labelled/math_l5_outputs", "output"),
        ("labelled/gsm8k_solutions", "solution"), ("labelled/mbpp_solutions", "solution"),
        ("prompts/math_train", "solution"), ("prompts/gsm8k_train", "solution"), ("prompts/math500", "problem"),
    ],
)  # fmt: skip
def test_real_chains_hold_none(name: str, column: str, real_data: Path) -> None:
    assert [data for row in of(real_data, name) if (data := find(row.get(column) or ""))] == []


def test_completions_of_puzzles_hold_none(real_data: Path) -> None:
    with gzip.open(real_data / "labelled" / "reasoning_gym_completions.jsonl.gz", "rt") as lines:
        for line in lines:
            for one in json.loads(line)["completions"]:
                assert find(one["text"] or "") == []


def test_tests_of_code_hold_what_they_look_like(real_data: Path) -> None:
    tests = [str(row["tests"]) for row in of(real_data, "prompts/mbpp")]
    assert sorted({text[one.start : one.end] for text in tests for one in find(text)}) == [
        "110.234.52.124", "216.8.94.196", "ankitrai326@gmail.com", "my.ownsite@ourearth.org",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "make"), [(kind, make) for kind, make, _ in MAKERS.values()])
def test_a_detail_gives_nothing_away(kind: str, make: Callable[[Dice], str], make_item: MakeItem) -> None:
    for seed in range(50):
        datum = make(random.Random(seed))
        item = make_item(f"First: {datum} is what I use.", "42")
        found = find(item.trace.reasoning)
        drop = Privacy().check(item.trace, item.prompt)
        if drop:
            assert drop.reason == kind
            assert drop.detail.startswith(f"reasoning, character {found[0].start}: ")
            assert item.trace.reasoning[found[0].start : found[0].end] not in drop.detail
            assert found[0].same not in re.sub(r"\W", "", drop.detail).lower()


@pytest.mark.parametrize(
    "text", ["The address ends in\n@yahoo.com", "in\n@yahoo.com", "a.b\r\n@yahoo.com", "in @yahoo.com"]
)
def test_the_name_of_an_address_stands_before_its_at(text: str) -> None:
    assert find(text) == []
    assert [one.kind for one in find(f"{text[:-10]}jo@yahoo.com")] == ["email"]


def test_a_detail_says_where_and_how_many(make_item: MakeItem) -> None:
    item = make_item("I ask j.smith@gmail.com, then 93.184.216.34.", "42, says j.smith@gmail.com")
    drop = Privacy().check(item.trace, item.prompt)
    assert drop is not None
    assert (drop.reason, drop.detail) == ("email", "reasoning, character 6: j…@gmail.com, and 2 more")
    drop = Privacy(("ip",)).check(item.trace, item.prompt)
    assert drop is not None
    assert (drop.reason, drop.detail) == ("ip", "reasoning, character 30: 93.…")


def test_each_datum_has_its_placeholder_all_over_the_chain(make_item: MakeItem) -> None:
    item = make_item(
        "ann@gmail.com or bob@web.de? Ann@Gmail.com! Or +49 171 4683579, or ceo@web.de.", "42, bob@web.de",
        prompt="Shall I write to ceo@web.de?",
    )  # fmt: skip
    trace = dataclasses.replace(item.trace, logprobs=(-0.5,))
    found = masked(trace, item.prompt)
    assert found.reasoning == "[EMAIL_1] or [EMAIL_2]? [EMAIL_1]! Or [PHONE], or ceo@web.de."
    assert found == dataclasses.replace(trace, reasoning=found.reasoning, logprobs=None), (
        "the answer is what was judged"
    )
    assert masked(trace, item.prompt, ("phone",)).reasoning == trace.reasoning.replace("+49 171 4683579", "[PHONE]")
    assert masked(trace, item.prompt, ("iban",)) is trace


def test_a_private_key_goes_as_a_whole_and_nothing_else(make_item: MakeItem) -> None:
    lines = [base64.b64encode(random.Random(line).randbytes(48)).decode() for line in range(4)]
    for kind in ("PRIVATE KEY", "RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"):
        begin, end = f"-----BEGIN {kind}-----", f"-----END {kind}-----"
        for body in (lines, [*lines, "qL9="], ["Version: 1", "", *lines, "=aB3d"]):
            item = make_item("It is\n" + "\n".join((begin, *body, end)) + "\nand no more")
            assert masked(item.trace, item.prompt).reasoning == "It is\n[KEY]\nand no more"
        item = make_item("It is\\n" + "\\n".join((begin, *lines, end)) + " and no more")
        assert masked(item.trace, item.prompt).reasoning == "It is\\n[KEY] and no more"
        item = make_item("It is\n" + "\n".join((begin, *lines)) + "\nand no more of it, as it was cut")
        assert masked(item.trace, item.prompt).reasoning == "It is\n[KEY]\nand no more of it, as it was cut"
        item = make_item(f"Such a file begins with {begin} and then come lines of base64 until {end} is reached")
        assert masked(item.trace, item.prompt) is item.trace


def test_placeholders_that_are_there_keep_their_meaning(make_item: MakeItem) -> None:
    item = make_item("[EMAIL_2] and [EMAIL_1] met ann@gmail.com; [PHONE] or +49 171 4683579")
    found = masked(item.trace, item.prompt)
    assert found.reasoning == "[EMAIL_2] and [EMAIL_1] met [EMAIL_3]; [PHONE] or [PHONE_2]"


DATA = st.builds(
    lambda name, seed: MAKERS[name][1](random.Random(seed)), st.sampled_from([*MAKERS]), st.integers(0, 99)
)
PLAIN = st.text("ab z0179+-.@ ()_=*/\n文é[]", max_size=12) | st.sampled_from(
    ["phone ", "tel: ", "card ", "sk-", "[EMAIL]"]
)


@given(pieces=st.lists(PLAIN | DATA, max_size=12))
def test_masked_text_holds_none_and_the_rest_is_as_it_was(pieces: list[str], make_item: MakeItem) -> None:
    item = make_item(before := "".join(pieces))
    found = masked(item.trace, NOTHING)
    after = found.reasoning
    assert masked(found, NOTHING) == found
    assert leaks(after, NOTHING) == []
    assert re.fullmatch("(?s:.+?)".join(map(re.escape, PLACEHOLDER.split(after))), before)
    assert len(PLACEHOLDER.findall(after)) >= len(PLACEHOLDER.findall(before)) or find(before)
    assert (found is item.trace) == (not find(before))


@given(st.text(max_size=60), st.lists(st.sampled_from(KINDS), min_size=1))
def test_data_lie_apart_in_the_text(text: str, kinds: list[str]) -> None:
    ends = [0]
    for one in find(text + " j.smith@web.de " + text, kinds):
        assert one.kind in kinds
        assert ends[-1] <= one.start < one.end
        ends.append(one.end)
    assert ends[-1] <= 2 * len(text) + 16


@pytest.mark.parametrize(
    ("kinds", "message"),
    [((), r"^kinds: names none \(known: email, phone"), (("emial",), r"^kinds: unknown kind 'emial' \(did you mean 'email'\?\)$")],
)  # fmt: skip
def test_kinds_are_known_ones(kinds: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Privacy(kinds)
