"""The numbers behind the adaptive strategy: predictive probabilities, priors by group, and when a goal is certain."""

from __future__ import annotations

import random
from math import comb, exp, lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.factory.strategies.evidence import CONCENTRATIONS, MEANS, Evidence
from tracemill.factory.strategies.goal import Goal


def beta(a: float, b: float) -> float:
    return exp(lgamma(a) + lgamma(b) - lgamma(a + b))


def filled(results: list[tuple[int, int, int]], groups: int, most: int = 20) -> Evidence:
    """Evidence of prompts with (group, correct, wrong), told wrong ones first."""
    evidence = Evidence(groups, most)
    for group, correct, wrong in results:
        for at in range(wrong):
            evidence.add(group, 0, at, False)
            evidence.add_tokens(group, False, 300)
        for at in range(correct):
            evidence.add(group, at, wrong, True)
            evidence.add_tokens(group, True, 100)
    evidence.fit()
    return evidence


def first_rate(evidence: Evidence, group: int) -> float:
    """Chance that the first sample of a further prompt of this group is correct."""
    zero = np.zeros(1, int)
    return float(evidence.rate(evidence.given(np.array([group]), zero, zero), zero, zero)[0])


@given(
    correct=st.integers(0, 6),
    wrong=st.integers(0, 6),
    more=st.integers(0, 8),
    low=st.integers(0, 8),
    high=st.integers(0, 8),
)
def test_the_predictive_probability_is_a_mixture_of_beta_binomials(
    correct: int, wrong: int, more: int, low: int, high: int
) -> None:
    evidence = filled([(0, 2, 3), (0, 0, 6), (0, 1, 0)], 1)
    c, w, r = np.array([correct]), np.array([wrong]), np.array([more])
    found = evidence.between(evidence.given(np.zeros(1, int), c, w), c, w, r, np.array([low]), np.array([high]))[0]
    kinds = [(mean * size, (1 - mean) * size) for mean in MEANS for size in CONCENTRATIONS]
    joint = [
        weight * beta(a + correct, b + wrong) / beta(a, b)
        for weight, (a, b) in zip(evidence.weights[0], kinds, strict=True)
    ]
    exact = 0.0
    for share, (a, b) in zip(joint, kinds, strict=True):
        for x in range(low, min(high, more) + 1):
            ways = comb(more, x) * beta(a + correct + x, b + wrong + more - x) / beta(a + correct, b + wrong)
            exact += share / sum(joint) * ways
    assert found == pytest.approx(exact, abs=1e-9)


def test_a_group_is_judged_by_its_own_prompts_and_a_small_one_by_the_job() -> None:
    others = [(group, 9, 1) for group in range(10) for _ in range(20)]
    evidence = filled([*others, *[(10, 0, 1)] * 40, (11, 0, 1)], 13)
    assert first_rate(evidence, 0) == pytest.approx(0.9, abs=0.03)
    assert first_rate(evidence, 10) < 0.04, "forty prompts that failed"
    assert 0.1 < first_rate(evidence, 11) < first_rate(evidence, 12), "one prompt that failed says something"
    assert first_rate(evidence, 12) > 0.75, "none: what the job says"


def test_stopping_early_does_not_bias_the_prior() -> None:
    dice, results = random.Random(3), []
    for _ in range(2000):  # each stops at its first correct sample, or after 8
        wrong = next((at for at in range(8) if dice.random() < 0.3), 8)
        results.append((0, int(wrong < 8), wrong))
    shares = [correct / (correct + wrong) for _, correct, wrong in results]
    assert sum(shares) / len(shares) > 0.45, "k / n of what stopped early is far off"
    assert first_rate(filled(results, 1), 0) == pytest.approx(0.3, abs=0.02)


def test_tokens_are_expected_by_group_and_outcome() -> None:
    evidence = filled([(0, 1, 1)] * 50, 2)
    assert evidence.tokens == pytest.approx(np.array([[300, 100], [300, 100]]))
    for _ in range(100):
        evidence.add_tokens(1, False, 900)
    evidence.fit()
    assert 800 < evidence.tokens[1, 0] < 900
    assert evidence.tokens[0, 0] < 500


def test_the_order_of_results_makes_no_difference() -> None:
    results = [(at % 3, at % 4, (at * 7) % 5) for at in range(60)]
    turned = filled(results[::-1], 3)
    assert (filled(results, 3).weights == turned.weights).all()


windows = st.sampled_from([(0.0, 1.0), (0.0, 0.8), (0.3, 1.0), (0.25, 0.75), (0.5, 0.5)])


@given(
    wanted=st.integers(1, 3), window=windows, correct=st.integers(0, 6), wrong=st.integers(0, 6), left=st.integers(0, 6)
)
def test_a_goal_is_certain_where_no_further_sample_can_change_it(
    wanted: int, window: tuple[float, float], correct: int, wrong: int, left: int
) -> None:
    goal = Goal(wanted, *window)

    def is_met(c: int, w: int) -> bool:
        return c >= wanted and window[0] <= c / (c + w) <= window[1]

    ends = [is_met(correct + x, wrong + y) for x in range(left + 1) for y in range(left + 1 - x)]
    assert goal.is_met(correct, wrong, left) == all(ends)
    if goal.is_lost(correct, wrong, left):
        assert not any(ends)


@given(
    wanted=st.integers(1, 3), window=windows, correct=st.integers(0, 6), wrong=st.integers(0, 6), more=st.integers(0, 6)
)
def test_the_chance_of_a_goal_counts_the_ends_that_meet_it(
    wanted: int, window: tuple[float, float], correct: int, wrong: int, more: int
) -> None:
    evidence, goal = filled([(0, 2, 3), (0, 5, 1)], 1), Goal(wanted, *window)
    c, w, r = np.array([correct]), np.array([wrong]), np.array([more])
    weights = evidence.given(np.zeros(1, int), c, w)
    size = correct + wrong + more
    ends = [x for x in range(more + 1) if correct + x >= wanted and window[0] <= (correct + x) / size <= window[1]]
    exact = sum(evidence.between(weights, c, w, r, np.array([x]), np.array([x]))[0] for x in ends)
    assert goal.chance(evidence, weights, c, w, r)[0] == pytest.approx(exact)
