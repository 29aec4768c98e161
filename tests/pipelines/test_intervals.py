"""Intervals: within their bounds, never empty, and not narrower than they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.pipelines import estimate, intervals

VALUES = st.lists(st.integers(0, 8).map(lambda right: right / 8), min_size=1, max_size=60)


@given(VALUES)
def test_an_interval_of_shares_holds_the_mean_and_is_never_empty(values: list[float]) -> None:
    found = intervals.share(values)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert found.value == pytest.approx(sum(values) / len(values))


@given(VALUES)
def test_right_and_wrong_mirror_each_other(values: list[float]) -> None:
    one = intervals.share(values)
    other = intervals.share([1 - value for value in values])
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
    assert other.low == pytest.approx(-one.high, abs=1e-6)


def test_known_values() -> None:
    """Student's quantiles from any table; Clopper and Pearson's bounds of 20 in 20 and of 3 in 4."""
    assert [round(intervals.student(freedom), 3) for freedom in (1, 5, 10, 30, 1000)] == [
        12.706, 2.571, 2.228, 2.042, 1.962,
    ]  # fmt: skip
    every = intervals.share([1.0] * 20)
    assert every.low == pytest.approx(0.05 ** (1 / 20) * (0.5 ** (1 / 20)), abs=1e-6)
    assert every.high == 1
    most = intervals.share([1, 0, 1, 1])
    assert [most.low, most.high] == pytest.approx([0.1941, 0.9937], abs=1e-4)
    lengths = intervals.mean([10, 12, 14])
    assert [lengths.low, lengths.high] == pytest.approx([12 - 4.9683, 12 + 4.9683], abs=1e-3)


@pytest.mark.parametrize(("right", "prompts"), [(0, 1), (1, 1), (1, 2), (1, 500), (0, 500), (499, 500), (7000, 10_000)])
def test_prompts_that_are_right_or_wrong_have_clopper_and_pearsons_interval(right: int, prompts: int) -> None:
    found = intervals.share([1.0] * right + [0.0] * (prompts - right))
    assert [found.low, found.high] == pytest.approx(estimate.interval(right, prompts), abs=1e-6)


def test_it_is_the_quantile_of_random_weights() -> None:
    """As drawn: 200,000 times Dirichlet's weights of ten values and of one more at the bound."""
    values = [0.0, 0.125, 0.125, 0.5, 0.5, 0.625, 0.75, 0.875, 1.0, 1.0]
    draws = np.random.default_rng(3).standard_exponential((200_000, 11))
    weights = draws / draws.sum(axis=1, keepdims=True)
    low = np.quantile(weights @ np.array([*values, 0.0]), 0.025)
    high = np.quantile(weights @ np.array([*values, 1.0]), 0.975)
    found = intervals.share(values)
    assert [found.low, found.high] == pytest.approx([low, high], abs=2e-3)


def test_prompts_that_agree_by_chance_do_not_narrow_it() -> None:
    """By their standard error two prompts at 0.5 and 0.5001 would be worth 10^8 trials."""
    narrow = intervals.share([0.5, 0.5001])
    assert narrow.low is not None
    assert narrow.high is not None
    assert narrow.high - narrow.low > 0.5


@pytest.mark.parametrize("prompts", [5, 50, 500])
def test_it_is_no_narrower_where_a_few_pairs_differ_than_where_none_does(prompts: int) -> None:
    none = intervals.difference([0.0] * prompts, True)
    unseen = 1 - 0.025 ** (1 / prompts)
    assert [none.low, none.high] == pytest.approx([-unseen, unseen], abs=1e-6)
    for some in ([1.0], [0.125], [1.0, 1.0], [1.0, -1.0], [0.5, -0.125, 0.25]):
        found = intervals.difference(some + [0.0] * (prompts - len(some)), True)
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low > 2 * unseen - 1e-9 * prompts


def test_one_prompt_says_nothing_of_the_length_of_others() -> None:
    assert intervals.mean([7.0]) == intervals.Interval(7.0, None, None)


KNOWN: dict[tuple[bool, tuple[float, ...]], intervals.Interval] = {}


def covered(draw: Callable[[np.random.Generator], Sequence[float]], truth: float, rounds: int, paired: bool) -> float:
    """In how many of so many evaluations the interval holds the truth; those of the same values are computed once."""
    rng, inside = np.random.default_rng(7), 0
    for _ in range(rounds):
        key = (paired, tuple(sorted(map(float, draw(rng)))))
        if key not in KNOWN:
            KNOWN[key] = intervals.difference(key[1], True) if paired else intervals.share(key[1])
        found = KNOWN[key]
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth + 1e-9 and truth - 1e-9 <= found.high
    return inside / rounds


@pytest.mark.parametrize(
    ("prompts", "better", "worse"),
    [(50, 0.02, 0), (100, 0.01, 0.03), (100, 0.03, 0), (100, 0.05, 0), (500, 0.005, 0), (500, 0.002, 0.006),
     (30, 0.1, 0.02), (10, 0.2, 0.1), (20, 0, 0)],
)  # fmt: skip
def test_paired_differences_hold_the_truth_where_few_prompts_differ(prompts: int, better: float, worse: float) -> None:
    def draw(rng: np.random.Generator) -> list[float]:
        one, other, same = rng.multinomial(prompts, [better, worse, 1 - better - worse])
        return [1.0] * one + [-1.0] * other + [0.0] * same

    assert covered(draw, better - worse, 1000, paired=True) >= 0.94


@pytest.mark.parametrize(
    ("prompts", "samples", "rates", "change"),
    [
        (40, 4, lambda rng, n: rng.beta(2, 1, n), lambda rng, rates: rates * 0.9),
        (100, 8, lambda rng, n: (rng.random(n) < 0.03) * 0.5, lambda rng, rates: rates * 0),
        (50, 8, lambda rng, n: (rng.random(n) < 0.04) * 0.9, lambda rng, rates: (rng.random(rates.size) < 0.02) * 0.9),
    ],
)
def test_paired_differences_of_several_samples_hold_the_truth(
    prompts: int, samples: int, rates: Any, change: Any
) -> None:
    def draw(rng: np.random.Generator) -> Any:
        before = rates(rng, prompts)
        return (rng.binomial(samples, before) - rng.binomial(samples, change(rng, before))) / samples

    truth = {40: 0.1 * 2 / 3, 100: 0.03 * 0.5, 50: 0.02 * 0.9}[prompts]
    assert covered(draw, truth, 250, paired=True) >= 0.94


@pytest.mark.parametrize(
    ("prompts", "samples", "rates", "truth"),
    [
        (20, 1, lambda rng, n: rng.beta(1.6, 0.4, n), 0.8),
        (30, 8, lambda rng, n: rng.beta(0.56, 0.14, n), 0.8),
        (100, 4, lambda rng, n: rng.beta(2.4, 0.6, n), 0.8),
        (100, 8, lambda rng, n: (rng.random(n) < 0.05) * 0.5, 0.025),
        (50, 8, lambda rng, n: [0.01] * n, 0.01),
        (50, 16, lambda rng, n: [0.9 if one < 0.02 else 0.01 for one in rng.random(n)], 0.02 * 0.9 + 0.98 * 0.01),
    ],
)
def test_shares_hold_the_truth_also_where_few_prompts_are_of_another_kind(
    prompts: int, samples: int, rates: Any, truth: float
) -> None:
    def draw(rng: np.random.Generator) -> Any:
        return rng.binomial(samples, rates(rng, prompts)) / samples

    assert covered(draw, truth, 250, paired=False) >= 0.94
