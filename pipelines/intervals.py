"""95 % intervals of figures over prompts: means of shares, means of lengths, and paired differences of two evaluations.

Prompts are the sample: the k samples of one prompt are no k independent trials, so the standard error is that of the
prompts' means (clustered by prompt; Miller, arXiv 2411.00640). Pure: knows numbers only.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tracemill.pipelines.estimate import CONFIDENCE, beta_quantile, interval

_NORMAL = statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
_NEGLIGIBLE = 1e-12
"""A standard error below this is rounding."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and where the truth lies in 95 of 100 such samples of prompts."""

    value: float
    low: float | None
    high: float | None
    """Both None where one prompt alone says nothing of others."""


def share(values: Sequence[float], most: float) -> Interval:
    """Of the mean of per-prompt values in [0, 1], at least one, each of some trials, `most` together.

    Korn and Graubard's interval (see `estimate`): Clopper and Pearson's at p (1 - p) / SE² trials, corrected for the
    degrees of freedom. No more than `most`: a few prompts may agree by chance, but what prompts differ by only adds to
    the binomial variance. Where each value is 0 or 1, or all are equal, the prompts are the
    trials, so that the interval of "all right" is not empty.
    """
    mean, count = statistics.fmean(values), len(values)
    error = _standard_error(values)
    trials = float(count)
    if error > _NEGLIGIBLE and any(0 < value < 1 for value in values):
        trials = min(mean * (1 - mean) / error**2, most) * (_NORMAL / student(count - 1)) ** 2
    low, high = interval(mean * trials, trials)
    return Interval(mean, min(low, mean), max(high, mean))


def mean(values: Sequence[float]) -> Interval:
    """Of the mean of per-prompt values, at least one, of any size ≥ 0: Student's t."""
    found = _by_student(values)
    return found if found.low is None else Interval(found.value, max(0.0, found.low), found.high)


def difference(values: Sequence[float], is_share: bool) -> Interval:
    """Of the mean of per-prompt differences, at least one: Student's t, paired by prompt.

    Differences of shares lie in [-1, 1]. Where these are all the same, t would say that the truth is known: each side
    then is what a share of which none of so many prompts showed anything may still be (Clopper and Pearson).
    """
    if not is_share:
        return _by_student(values)
    value = statistics.fmean(values)
    if _standard_error(values) > _NEGLIGIBLE:
        found = _by_student(values)
        low, high = found.low, found.high
        assert low is not None and high is not None  # noqa: PT018 - there are two values at least
    else:
        unseen = interval(0, len(values))[1]
        low, high = value - unseen, value + unseen
    return Interval(value, max(-1.0, low), min(1.0, high))


@lru_cache(maxsize=1024)
def student(freedom: int) -> float:
    """The quantile of Student's t that bounds 95 % on both sides: P(|T| > t) = I(ν / (ν + t²); ν / 2, 1 / 2)."""
    beyond = beta_quantile(1 - CONFIDENCE, freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - beyond) / beyond)


def _by_student(values: Sequence[float]) -> Interval:
    value = statistics.fmean(values)
    if len(values) < 2:
        return Interval(value, None, None)
    half = student(len(values) - 1) * _standard_error(values)
    return Interval(value, value - half, value + half)


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
