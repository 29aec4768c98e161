"""Intervals: within their bounds, never empty, and not narrower than they say."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.pipelines import intervals

VALUES = st.lists(st.integers(0, 8).map(lambda right: right / 8), min_size=1, max_size=60)


@given(VALUES)
def test_an_interval_of_shares_holds_the_mean_and_is_never_empty(values: list[float]) -> None:
    found = intervals.share(values, 8 * len(values))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert found.value == pytest.approx(sum(values) / len(values))


@given(VALUES)
def test_right_and_wrong_mirror_each_other(values: list[float]) -> None:
    one = intervals.share(values, 8 * len(values))
    other = intervals.share([1 - value for value in values], 8 * len(values))
    assert one.low is not None
    assert other.high is not None
    assert one.low == pytest.approx(1 - other.high, abs=1e-6)


@given(VALUES)
def test_differences_lie_within_their_bounds_and_have_a_sign(values: list[float]) -> None:
    apart = [value - 0.5 for value in values]
    one, other = intervals.difference(apart, True), intervals.difference([-value for value in apart], True)
    assert one.low is not None
    assert one.high is not None
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.low < one.high
    assert other.low == pytest.approx(-one.high)


def test_known_values() -> None:
    """Student's quantiles from any table; Clopper and Pearson's bounds of 20 in 20 and of 3 in 4."""
    assert [round(intervals.student(freedom), 3) for freedom in (1, 5, 10, 30, 1000)] == [
        12.706, 2.571, 2.228, 2.042, 1.962,
    ]  # fmt: skip
    every = intervals.share([1.0] * 20, 160)
    assert every.low == pytest.approx(0.05 ** (1 / 20) * (0.5 ** (1 / 20)), abs=1e-6)
    assert every.high == 1
    most = intervals.share([1, 0, 1, 1], 4)
    assert [most.low, most.high] == pytest.approx([0.1941, 0.9937], abs=1e-4)
    lengths = intervals.mean([10, 12, 14])
    assert [lengths.low, lengths.high] == pytest.approx([12 - 4.9683, 12 + 4.9683], abs=1e-3)


def test_samples_of_one_prompt_are_no_trials_of_their_own() -> None:
    """Eight equal samples of each prompt say no more than one."""
    values = [1.0] * 10 + [0.0] * 10
    assert intervals.share(values, 160) == intervals.share(values, 20)


def test_prompts_that_agree_by_chance_do_not_narrow_it() -> None:
    """Two prompts at 0.5 and 0.5001 would be worth 10^8 trials by their standard error."""
    narrow = intervals.share([0.5, 0.5001], 16)
    assert narrow.low is not None
    assert narrow.high is not None
    assert narrow.high - narrow.low > 0.5


def test_one_prompt_says_nothing_of_the_length_of_others() -> None:
    assert intervals.mean([7.0]) == intervals.Interval(7.0, None, None)


@pytest.mark.parametrize(("prompts", "samples", "spread"), [(20, 1, 2.0), (30, 8, 0.7), (100, 4, 3.0)])
def test_an_interval_holds_the_truth_in_95_of_100_evaluations(prompts: int, samples: int, spread: float) -> None:
    """Prompts of beta-distributed difficulty, samples of each; 2,000 evaluations, so that 1.0 % is two deviations."""
    draws = random.Random(f"{prompts} {samples} {spread}")
    inside, rounds, truth = 0, 2000, 0.8
    for _ in range(rounds):
        rates = [draws.betavariate(spread * truth, spread * (1 - truth)) for _ in range(prompts)]
        values = [sum(draws.random() < rate for _ in range(samples)) / samples for rate in rates]
        found = intervals.share(values, prompts * samples)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert inside / rounds >= 0.94


def test_paired_differences_hold_the_truth_in_95_of_100_comparisons() -> None:
    draws = random.Random(7)
    inside, rounds = 0, 2000
    for _ in range(rounds):
        apart = []
        for _ in range(40):
            rate = draws.betavariate(2, 1)
            one = sum(draws.random() < rate for _ in range(4)) / 4
            other = sum(draws.random() < rate * 0.9 for _ in range(4)) / 4
            apart.append(one - other)
        found = intervals.difference(apart, True)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.1 * 2 / 3 <= found.high
    assert math.isclose(inside / rounds, 0.95, abs_tol=0.015)
