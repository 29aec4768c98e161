"""A share estimated from a stratified sample, with a 95 % interval.

The samples of a stratum stand for all of it, so each weighs (size of the stratum) / (samples from it). The interval is
Clopper and Pearson's (1934) exact binomial one at the effective sample size (Korn and Graubard, Survey Methodology 24,
1998, p. 193), which for weights w is (Σw)² / Σw² (Kish, Survey Sampling, 1965). It is not narrower than claimed where
shares are near 0, as those of a good verifier are; Wilson's is at some of them (Brown, Cai and DasGupta, Statistical
Science 16, 2001). Nothing is gained for strata that differ, nor for a sample that is most of all there is: it errs on
the wide side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

CONFIDENCE = 0.95
_STEPS = 50  # halvings: 2^-50
_TERMS, _PRECISION, _TINY = 10_000, 1e-14, 1e-300


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of a population, 0 to 1. The values are None where nothing in the sample was decided."""

    share: float | None
    low: float | None
    high: float | None
    disagree: int
    decided: int
    """Samples that the checker called right or wrong; the share is among such."""
    undecided: int
    """Samples of which the checker said neither; they count for nothing."""


def estimate(samples: Iterable[tuple[float, bool | None]]) -> Estimate:
    """From (weight, whether it disagrees; None where undecided) of each sample."""
    every = list(samples)
    decided = [(weight, said) for weight, said in every if said is not None]
    disagree = sum(said for _, said in decided)
    undecided = len(every) - len(decided)
    if not decided:
        return Estimate(None, None, None, 0, 0, undecided)
    total = sum(weight for weight, _ in decided)
    share = sum(weight for weight, said in decided if said) / total
    effective = total**2 / sum(weight**2 for weight, _ in decided)
    low, high = interval(share * effective, effective)
    return Estimate(share, low, high, disagree, len(decided), undecided)


def interval(successes: float, trials: float) -> tuple[float, float]:
    """Clopper and Pearson's interval; neither number need be whole."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes <= 0 else beta_quantile(tail, successes, trials - successes + 1)
    high = 1.0 if successes >= trials else beta_quantile(1 - tail, successes + 1, trials - successes)
    return low, high


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Of the beta distribution with parameters `a` and `b`, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta(middle, a, b) < probability else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, 0 < x < 1: the continued fraction of DLMF 8.17.22, by Lentz.

    scipy is no dependency, and mpmath 1.3's does not converge for 20,000 trials.
    """
    if x > (a + 1) / (a + b + 2):  # where it would converge slowly
        return 1 - _beta(1 - x, b, a)
    scale = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    ahead, back = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    value = back
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            back = 1 / (1 + term * back or _TINY)
            ahead = 1 + term / ahead or _TINY
            change = back * ahead
            value *= change
        if abs(change - 1) < _PRECISION:
            break
    return scale * value / a
