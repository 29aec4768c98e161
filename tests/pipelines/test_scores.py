"""pass@k against counting all draws, and what a prompt's samples come to."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.pipelines.scores import Score, pass_at, powers
from tracemill.pipelines.vote import leaders


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(counts: tuple[int, int, int]) -> None:
    samples, correct, k = counts
    draws = list(combinations([True] * correct + [False] * (samples - correct), k))
    assert pass_at(k, samples, correct) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_of_many_samples_does_not_overflow() -> None:
    assert pass_at(1, 100_000, 1) == 1e-5
    assert pass_at(5_000, 10_000, 1) == 0.5
    assert pass_at(10_000, 10_000, 0) == 0


def test_powers_of_two_and_all() -> None:
    assert [powers(k) for k in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_undecided_samples_are_neither_right_nor_wrong() -> None:
    """Of 4 samples one is undecided: pass@1 is of 3, pass@4 cannot be said."""
    found = Score("p", "math", made=4, correct=1, decided=3, well_formed=4, tokens=40, majority=1.0).values(4)
    assert found["pass@1"] == (1 / 3, 3)
    assert found["undecided"] == (0.25, 4)
    assert found["majority@4"] == (1.0, 4)
    assert found["length"] == (10.0, 4)
    assert "pass@4" not in found


def test_a_prompt_without_any_decided_sample_counts_as_undecided_alone() -> None:
    found = Score("p", "math", made=2, decided=0, well_formed=1, tokens=4).values(2)
    assert found == {
        "format": (0.5, 2), "cut_off": (0.0, 2), "undecided": (1.0, 2), "length": (2.0, 2), "missing": (0.0, 2),
    }  # fmt: skip


def test_samples_that_were_not_made_are_missing() -> None:
    assert Score("p", "math").values(4) == {"missing": (1.0, 4)}
    found = Score("p", "math", made=3, correct=3, decided=3, majority=1.0).values(4)
    assert found["missing"] == (0.25, 4)
    assert "majority@4" not in found


def _equal(reference: str, answer: str) -> bool | None:
    return None if "?" in reference + answer else float(reference) == float(answer)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"1": 3, "2": 1}, ("1",)),
        ({"1": 1, "1.0": 1, "2": 1}, ("1",)),
        ({"1": 1, "1.0": 1, "2": 2}, ("1", "2")),
        ({"1": 1, "2": 1, "3": 1}, ("1", "2", "3")),
        ({"1": 2, "?": 2}, ()),
        ({}, ()),
    ],
)
def test_leaders_are_the_winner_or_those_who_tie(votes: dict[str, int], expected: tuple[str, ...]) -> None:
    assert leaders(votes, _equal) == expected
