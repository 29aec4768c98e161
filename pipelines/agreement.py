"""How well two that count the same habits agree: presence as precision, recall and Cohen's kappa, counts as Spearman.

The second is taken for the truth in precision and recall only; whether it is, is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of a habit over some chains. None is what is not defined: nothing found, nothing there, no variation."""

    both: int
    """Chains in which both find it; the next are those in which one does, or none."""
    only_first: int
    only_second: int
    neither: int
    precision: float | None
    recall: float | None
    kappa: float | None
    """Cohen's, Educational and Psychological Measurement 20, 1960."""
    spearman: float | None
    """Rank correlation of the counts, equal counts sharing their mean rank."""


def agreement(pairs: Iterable[tuple[int, int]]) -> Agreement:
    """Of the counts that the first and the second give to the same chains."""
    counts = list(pairs)
    both = sum(a > 0 and b > 0 for a, b in counts)
    first, second = (sum(one > 0 for one in column) for column in (zip(*counts, strict=True) if counts else ((), ())))
    return Agreement(
        both=both,
        only_first=first - both,
        only_second=second - both,
        neither=len(counts) - first - second + both,
        precision=both / first if first else None,
        recall=both / second if second else None,
        kappa=_kappa(both, first, second, len(counts)),
        spearman=_pearson(ranks([a for a, _ in counts]), ranks([b for _, b in counts])),
    )


def _kappa(both: int, first: int, second: int, total: int) -> float | None:
    if not total:
        return None
    observed = (total - first - second + 2 * both) / total
    expected = (first * second + (total - first) * (total - second)) / total**2
    return (observed - expected) / (1 - expected) if expected < 1 else None


def ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            found[place] = (at + end + 1) / 2
        at = end
    return found


def _pearson(first: Sequence[float], second: Sequence[float]) -> float | None:
    if not first:
        return None
    middle = (len(first) + 1) / 2  # the mean of all ranks
    covariance = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    spread = sum((a - middle) ** 2 for a in first) * sum((b - middle) ** 2 for b in second)
    return float(covariance / spread**0.5) if spread else None
