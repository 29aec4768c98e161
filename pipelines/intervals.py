"""95 % intervals of figures over prompts: means of shares, means of lengths, and paired differences of two evaluations.

Prompts are the sample: the k samples of one prompt are no k independent trials (Miller, arXiv 2411.00640). Figures that
lie between bounds have Gaffke's interval, which supposes nothing of how they are spread: each side is a quantile of the
values' mean with random weights, one prompt more being put at the bound on that side, for what may not have been seen
(Gaffke, Mathematical Methods of Statistics 14, 2005; Learned-Miller and Thomas, arXiv 1905.06208). Of values that are 0
or 1 it is Clopper and Pearson's. That it holds for every distribution is a conjecture without known counterexample.
Pure: knows numbers only.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tracemill.pipelines.estimate import CONFIDENCE, beta_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_TAIL = (1 - CONFIDENCE) / 2
_STEPS = 60
"""Most steps of a search; some ten are taken."""
_CLOSE, _FAR = 1e-9, 5.0
"""Of the logarithm of a chance: near enough, and too far off to be interpolated."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and where the truth lies in 95 of 100 such samples of prompts."""

    value: float
    low: float | None
    high: float | None
    """Both None where one prompt alone says nothing of others."""


def share(values: Sequence[float]) -> Interval:
    """Of the mean of per-prompt values in [0, 1], at least one."""
    value = statistics.fmean(values)
    high = 1 - _lower([1 - one for one in values])
    return Interval(value, min(_lower(values), value), max(high, value))


def mean(values: Sequence[float]) -> Interval:
    """Of the mean of per-prompt values, at least one, of any size ≥ 0: Student's t."""
    found = _by_student(values)
    return found if found.low is None else Interval(found.value, max(0.0, found.low), found.high)


def difference(values: Sequence[float], is_share: bool) -> Interval:
    """Of the mean of per-prompt differences, at least one, paired by prompt; of shares they lie in [-1, 1]."""
    if not is_share:
        return _by_student(values)
    found = share([(1 + one) / 2 for one in values])
    assert found.low is not None  # of shares there always is one
    assert found.high is not None
    return Interval(statistics.fmean(values), 2 * found.low - 1, 2 * found.high - 1)


def _lower(values: Sequence[float]) -> float:
    """The quantile of the mean of the values and of one more that is 0, under Dirichlet's weights (1, …, 1)."""
    import numpy as np

    found, counts = np.unique(np.append(np.asarray(values, dtype=float), 0.0), return_counts=True)
    least, most = 0.0, float(found @ counts) / len(values)
    if most <= 0:
        return 0.0
    off_least = off_most = off = math.nan
    middle = most / 2
    for _ in range(_STEPS):  # regula falsi (Illinois) in the chance's logarithm, halving until both sides are known
        before, off = off, math.log(max(_below(middle, found, counts.astype(float)), 1e-300) / _TAIL)
        if abs(off) < _CLOSE:
            break
        if off < 0:
            least, off_least, off_most = middle, off, off_most / (2 if before < 0 else 1)
        else:
            most, off_most, off_least = middle, off, off_least / (2 if before > 0 else 1)
        is_known = off_least > -_FAR and off_most < _FAR
        middle = (least * off_most - most * off_least) / (off_most - off_least) if is_known else (least + most) / 2
    return middle


def _below(limit: float, values: Floats, counts: Floats) -> float:
    """The chance that the weighted mean is at most `limit`, 0 < limit < the greatest value; the least value is 0.

    Weights are E / ΣE with exponential E, so it is that of Σ (limit - value) E ≥ 0, whose moment generating function
    is a product: its inverse is integrated along the line through the saddle point, where it does not swing.
    """
    import numpy as np

    slope = values / limit - 1
    at = 0.5 / (1 + counts[0])
    for _ in range(_STEPS):  # damped Newton steps; the function is self-concordant, so none leaves its domain
        terms = slope / (1 + at * slope)
        first, second = -float(counts @ terms) - 1 / at, float(counts @ terms**2) + 1 / at**2
        step = first / math.sqrt(second)
        if abs(step) < 0.01:  # it need only be near
            break
        at -= step / math.sqrt(second) / (1 + abs(step))
    along, weights = _line()
    line = at + 1j * along / math.sqrt(second)
    inverse = np.exp(-(np.log(1 + np.multiply.outer(line, slope)) @ counts)) / line
    return float(inverse.real @ weights) / math.sqrt(second) / math.pi


@lru_cache(maxsize=1)
def _line() -> tuple[Floats, Floats]:
    """Points from 0 on, closer together near it, and their weights: the trapezoidal rule for sinh."""
    import numpy as np

    at = np.arange(0, 12, 0.1)
    weights = 0.1 * np.cosh(at)
    weights[0] /= 2
    return np.sinh(at), weights


@lru_cache(maxsize=1024)
def student(freedom: int) -> float:
    """The quantile of Student's t that bounds 95 % on both sides: P(|T| > t) = I(ν / (ν + t²); ν / 2, 1 / 2)."""
    beyond = beta_quantile(1 - CONFIDENCE, freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - beyond) / beyond)


def _by_student(values: Sequence[float]) -> Interval:
    value = statistics.fmean(values)
    if len(values) < 2:
        return Interval(value, None, None)
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(value, value - half, value + half)
