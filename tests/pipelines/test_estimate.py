"""Intervals against published numbers, and weights against counting."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.pipelines.estimate import estimate, interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
        (0, 20_000, 0.0, 0.00018443),
    ],
)
def test_the_published_values(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 5; tables of the binomial distribution for n = 10."""
    assert interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 3000), st.data())
def test_the_ends_are_where_the_tails_of_the_binomial_hold_2_5_percent(trials: int, data: st.DataObject) -> None:
    from fractions import Fraction  # exact sums, so that nothing of ours checks itself
    from math import comb

    trials = min(trials, 120)
    successes = data.draw(st.integers(0, trials))
    low, high = map(Fraction, interval(successes, trials))

    def tail(share: Fraction, numbers: range) -> float:
        return float(sum(comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in numbers))

    if successes > 0:
        assert tail(low, range(successes, trials + 1)) == pytest.approx(0.025, rel=1e-6)
    if successes < trials:
        assert tail(high, range(successes + 1)) == pytest.approx(0.025, rel=1e-6)


def test_equal_weights_are_a_plain_binomial_and_undecided_ones_count_for_nothing() -> None:
    found = estimate([(3.0, True), *[(3.0, False)] * 9, (3.0, None), (3.0, None)])
    assert (found.share, found.disagree, found.decided, found.undecided) == (0.1, 1, 10, 2)
    assert (found.low, found.high) == pytest.approx(interval(1, 10))


def test_a_large_stratum_weighs_as_much_as_it_is() -> None:
    found = estimate([(90.0, True)] * 10 + [(10.0, False)] * 10)
    assert found.share == pytest.approx(0.9)
    effective = (900 + 100) ** 2 / (10 * 90**2 + 10 * 10**2)
    assert (found.low, found.high) == pytest.approx(interval(0.9 * effective, effective))


# Of each stratum: its size, the share of it that disagrees, the samples from it.
DESIGNS = {
    "one stratum": [(4000, 0.1, 60)],
    "rare errors": [(9000, 0.01, 200), (1000, 0.03, 50)],
    "two alike": [(3000, 0.2, 60), (1000, 0.2, 20)],
    "two that differ": [(5000, 0.05, 90), (500, 0.5, 30)],
    "one for each and the rest": [(9000, 0.3, 80), (40, 0.3, 1), (12, 0.3, 1)],
    "a small sample": [(500, 0.4, 12)],
}
TRIALS = 500
LEAST = 0.95 - 3 * (0.95 * 0.05 / TRIALS) ** 0.5
"""Fewer intervals that hold the share are no chance, where 95 % of them do: 0.921."""


def coverage(design: list[tuple[int, float, int]], *widths: float) -> list[float]:
    """How often the interval, made so many times as wide about its share, holds the share of the population."""
    random, held = Random(5), dict.fromkeys(widths, 0)
    populations = [[at < round(size * share) for at in range(size)] for size, share, _ in design]
    truth = sum(map(sum, populations)) / sum(map(len, populations))
    for _ in range(TRIALS):
        found = estimate(
            (len(population) / taken, said)
            for population, (_, _, taken) in zip(populations, design, strict=True)
            for said in random.sample(population, taken)
        )
        assert found.share is not None
        assert found.low is not None
        assert found.high is not None
        for width in widths:
            low, high = (
                found.share - width * (found.share - found.low),
                found.share + width * (found.high - found.share),
            )
            held[width] += low <= truth <= high
    return [count / TRIALS for count in held.values()]


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_so_many_intervals_hold_the_share_as_are_claimed(design: list[tuple[int, float, int]]) -> None:
    whole, half = coverage(design, 1.0, 0.5)
    assert whole >= LEAST
    assert half < LEAST, "this test would notice an interval that is too narrow by half"


def test_nothing_decided_gives_no_share() -> None:
    found = estimate([(1.0, None)])
    assert (found.share, found.low, found.high, found.undecided) == (None, None, None, 1)


@given(st.lists(st.tuples(st.floats(0.5, 1e6), st.sampled_from([True, False, None])), min_size=1, max_size=60))
def test_the_share_lies_in_its_interval(samples: list[tuple[float, bool | None]]) -> None:
    found = estimate(samples)
    if found.share is not None and found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.share + 1e-9
        assert found.share - 1e-9 <= found.high <= 1
