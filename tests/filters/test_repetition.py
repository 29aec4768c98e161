"""Loops planted into real chains, and what of real chains is called a loop."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.types import Item
from tracemill.filters.repetition import Loop, Repetition, repetition

MakeItem = Callable[..., Item]
WORDS = [f"word{'a' * k}" for k in range(1, 400)]


@pytest.fixture(scope="module")
def chains(real_data: Path) -> list[str]:
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        found = [json.loads(line)["reasoning"] for line in lines]
    return [one for one in found if len(one.split()) > 200]


def planted(chain: str, share: float, counts: bool, dice: random.Random) -> str:
    """With a loop of so many of its words in its second half, four rounds at least, or of twenty-five cases; every
    second chain goes on then."""
    words = chain.split(" ")
    at = dice.randrange(len(words) // 2, len(words))
    said = words[max(0, at - dice.randrange(8, 40)) : at]
    loop = list[str]()
    for number in range(7, 10_000):
        loop += f"Try x = {number}: {number}^2 + 3 = {number**2 + 3}, not 40.".split(" ") if counts else said
        if len(loop) >= share * len(words) and number >= (32 if counts else 10):
            break
    return " ".join(words[:at] + loop + (words[at:] if dice.random() < 0.5 else []))


def test_of_real_chains_few_are_dropped(chains: list[str], make_item: MakeItem) -> None:
    items = [make_item(chain, number=number) for number, chain in enumerate(chains)]
    drops = [drop for one in items if (drop := Repetition().check(one.trace, one.prompt))]
    assert [drop.reason for drop in drops] == ["loop", "loop", "repetitive"]
    assert len(chains) > 600


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_planted_loops_are_told_from_99_of_100_real_chains(chains: list[str], share: float, counts: bool) -> None:
    def measured(chain: str) -> float:
        found = repetition(chain)
        return found.counted if counts else found.looped

    dice = random.Random(1)
    limit = sorted(map(measured, chains))[round(0.99 * len(chains))]
    found = [measured(planted(chain, share, counts, dice)) for chain in chains]
    assert limit == 0
    assert sum(one > limit for one in found) >= 0.98 * len(chains)
    if not counts:
        assert sum(one > Repetition().max_looped for one in found) >= 0.98 * len(chains)


def test_of_correct_solutions_hardly_any_is_dropped(real_data: Path, make_item: MakeItem) -> None:
    """They list cases; five in a hundred fell where every list was a loop."""
    with gzip.open(real_data / "labelled" / "math_l5_outputs.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    solutions = [row["output"] for row in rows if str(row["answer"]).strip() == str(row["gold"]).strip()]
    items = map(make_item, solutions)
    drops = [drop for one in items if (drop := Repetition().check(one.trace, one.prompt))]
    assert len(solutions) > 2000
    assert len(drops) < 0.005 * len(solutions)


def test_the_detail_says_where_the_longest_loop_begins(make_item: MakeItem) -> None:
    item = make_item("Größe 12, also gut. " + " ".join(WORDS[:50]) + " " + "Noch einmal von vorn, 7 und 8! " * 20)
    drop = Repetition().check(item.trace, item.prompt)
    assert drop is not None
    place = item.trace.reasoning.index("Noch")
    assert drop.reason == "loop"
    assert drop.detail == (
        "68.6% of the words are in loops, the longest from character "
        f"{place} on: 'Noch einmal von vorn, 7 und 8! Noch einmal von vorn, 7 und 8'"
    )


@given(st.integers(1, 60), st.integers(3, 12), st.integers(0, 100), st.integers(0, 100))
def test_a_loop_is_found_with_its_place_and_period(period: int, rounds: int, before: int, after: int) -> None:
    loop = WORDS[200 : 200 + period] * rounds
    words = WORDS[:before] + loop + WORDS[100 : 100 + after]
    found = repetition(" ".join(words))
    expected = [Loop(before, len(loop), period)] if len(loop) >= 20 else []
    assert found.loops == found.counts == expected
    assert found.looped == sum(one.words - period for one in expected) / len(words)
    assert found.counted == 0


@given(words=st.lists(st.sampled_from(["a", "b", "c", "7"]), max_size=300), times=st.integers(1, 60))
def test_whatever_repeats_loops_lie_in_the_text_and_are_quoted(
    words: list[str], times: int, make_item: MakeItem
) -> None:
    text = " ".join(words * times)
    found = repetition(text)
    for loops, count in ((found.loops, len(words)), (found.counts, sum(word != "7" for word in words))):
        for loop in loops:
            assert loop.start >= 0
            assert loop.start + loop.words <= count * times
            assert 1 <= loop.period <= loop.words // 2
    item = make_item(text)
    drop = Repetition(max_looped=0.0).check(item.trace, item.prompt)
    assert (drop is not None and drop.reason == "loop") == bool(found.loops)


@given(st.lists(st.sampled_from(WORDS), unique=True))
def test_what_repeats_nothing_has_no_share(words: list[str]) -> None:
    found = repetition(" ".join(words))
    assert (found.repeated, found.loops, found.counts) == (0.0, [], [])


@pytest.mark.parametrize("options", [{"max_looped": -0.1}, {"max_repeated": 1.5}])
def test_limits_are_shares(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^max_\w+: -?[\d.]+ is not between 0 and 1$"):
        Repetition(**options)
