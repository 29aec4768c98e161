"""The vote alone: independent of order, no winner where answers tie or may be the same, never a guess."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.pipelines.vote import Ballot, count

Table = dict[tuple[str, str], bool | None]


def by_class(classes: dict[str, str]) -> Callable[[str, str], bool | None]:
    return lambda one, other: classes[one] == classes[other]


def by_table(table: Table) -> Callable[[str, str], bool | None]:
    """What the table does not say is a difference."""
    return lambda one, other: table.get((one, other), table.get((other, one), False))


@pytest.mark.parametrize(
    ("votes", "table", "winner"),
    [
        ({"a": 3, "b": 1}, {}, "a"),
        ({"a": 2, "b": 1}, {}, None),
        ({"a": 3, "b": 3}, {}, None),
        ({}, {}, None),
        ({"1/2": 1, "0.5": 1, "50%": 1, "2": 2}, {("1/2", "0.5"): True, ("0.5", "50%"): True, ("1/2", "50%"): True}, "0.5"),
        ({"a": 3, "b": 2, "c": 2}, {("b", "c"): None}, None),
        ({"a": 5, "b": 2, "c": 2}, {("b", "c"): None}, "a"),
        ({"a": 3, "b": 2}, {("a", "b"): None}, "a"),
        ({"a": 2, "b": 1}, {("a", "b"): None}, None),
        ({"a": 3, "b": 2, "c": 2}, {("a", "b"): True, ("a", "c"): True, ("b", "c"): False}, None),
        ({"a": 2, "b": 2, "c": 2}, {("a", "b"): True, ("a", "c"): True, ("b", "c"): None}, "a"),
    ],
    ids=[
        "plain", "too few", "tie", "nobody", "three alike against two", "rivals that may be one", "even so", "a doubt alone",
        "a doubt is no vote", "equal to two that differ", "joined by a third",
    ],
)  # fmt: skip
def test_who_wins(votes: dict[str, int], table: Table, winner: str | None) -> None:
    found = count(votes, by_table(table), 3)
    assert (found and found.winner) == winner


def test_acceptance_in_one_direction_is_no_equality() -> None:
    def accepts(reference: str, answer: str) -> bool:
        return reference == "any" or reference == answer

    assert count({"any": 1, "1": 1, "2": 1}, accepts, 2) is None
    found = count({"any": 1, "1": 3}, accepts, 2)
    assert found == Ballot("1", 3, {"1": True, "any": None})


answers = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 4), max_size=7)


@given(answers, st.fixed_dictionaries({name: st.sampled_from("xyz") for name in "abcdefg"}), st.randoms())
def test_with_certain_answers_the_greatest_class_wins_whatever_the_order(
    votes: dict[str, int], classes: dict[str, str], random: Random
) -> None:
    sizes = {of: sum(votes[one] for one in votes if classes[one] == of) for of in "xyz"}
    best = max(sizes.values())
    found = count(votes, by_class(classes), 3)
    if best < 3 or list(sizes.values()).count(best) > 1:
        assert found is None
    else:
        assert found is not None
        assert (found.votes, sizes[classes[found.winner]]) == (best, best)
    shuffled = list(votes.items())
    random.shuffle(shuffled)
    assert count(dict(shuffled), by_class(classes), 3) == found


pairs = [(one, other) for one in "abcdef" for other in "abcdef" if one != other]
relations = st.fixed_dictionaries({pair: st.sampled_from([True, False, None]) for pair in pairs})


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 5)), relations, st.integers(2, 5))
def test_whatever_a_comparison_says_a_winner_has_the_votes_and_more_than_any_certain_rival(
    votes: dict[str, int], table: Table, least: int
) -> None:
    def same(one: str, other: str) -> bool | None:
        return one == other or table[one, other]

    found = count(votes, same, least)
    if found is None:
        return
    certain = {one for one in votes if found.same[one]}
    assert found.votes == sum(votes[one] for one in certain) >= least
    for one in set(votes) - certain:
        alike = [other for other in votes if other not in certain and same(one, other) and same(other, one)]
        assert sum(votes[other] for other in {one, *alike}) < found.votes or any(
            same(one, of) and same(of, one) for of in certain
        )
