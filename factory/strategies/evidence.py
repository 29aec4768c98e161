"""What the results so far say of pass rates and tokens: a beta prior for each group, learned from its other prompts.

Empirical Bayes with two levels. A group's pass rates follow one of 28 beta distributions (`MEANS` by
`CONCENTRATIONS`); which one is not decided but weighted by how well it explains the group's counts (beta-binomial
likelihood), times how common it is among the job's groups (fitted by EM). So a group of two prompts says what the job
says, one of fifty what its prompts say. That prompts were stopped early does not bias it: the stopping depends on the
counts alone, and the likelihood of the counts is the same (Berger and Wolpert 1988, the likelihood principle).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEANS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
CONCENTRATIONS = (0.3, 1.0, 3.0, 10.0)
"""a + b of the beta distributions: 0.3 is all or nothing, 10 is nearly the same rate for all prompts of the group."""
TOKENS_WEIGHT = 8.0
"""A group's mean tokens count as much as the job's after so many results: lengths have heavy tails."""
EM_STEPS = 20


class Evidence:
    """Counts of prompts by (group, correct, wrong), and tokens by group and outcome."""

    def __init__(self, groups: int, most: int) -> None:
        """`most`: samples of one prompt at most."""
        self._groups = groups
        self._prompts: Counter[tuple[int, int, int]] = Counter()
        self._results = [0] * (2 * groups)
        """Of group g: at 2g those that were not correct, at 2g + 1 the correct ones."""
        self._tokens = [0] * (2 * groups)
        a = np.array([mean * size for mean in MEANS for size in CONCENTRATIONS])
        b = np.array([(1 - mean) * size for mean in MEANS for size in CONCENTRATIONS])
        self._rising = tuple(_log_rising(start, most) for start in (a, b, a + b))
        self.weights = np.full((groups, len(a)), 1 / len(a))
        """Of each beta distribution for each group; rows sum to 1."""
        self.tokens = np.ones((groups, 2))
        """Expected tokens of a sample that is not correct, and of one that is."""

    def add(self, group: int, correct: int, wrong: int, is_correct: bool) -> None:
        """A prompt that had these counts got a decided result more."""
        if correct or wrong:
            self._prompts[group, correct, wrong] -= 1
        self._prompts[group, correct + is_correct, wrong + (not is_correct)] += 1

    def add_tokens(self, group: int, is_correct: bool, tokens: int) -> None:
        """A sample was paid for, decided or not."""
        self._results[2 * group + is_correct] += 1
        self._tokens[2 * group + is_correct] += tokens

    def fit(self) -> None:
        """Learn the priors anew from all counts. Deterministic: depends on the counts, not on their order."""
        results = np.array(self._results, float).reshape(-1, 2)
        tokens = np.array(self._tokens, float).reshape(-1, 2)
        usual = np.full(2, tokens.sum() / max(results.sum(), 1.0))
        total = results.sum(0)
        usual = np.where(total > 0, tokens.sum(0) / np.maximum(total, 1), usual)
        self.tokens = np.maximum((tokens + TOKENS_WEIGHT * usual) / (results + TOKENS_WEIGHT), 1.0)
        self._prompts = +self._prompts
        if not self._prompts:
            return
        counts = sorted(self._prompts.items())
        states = np.array([state for state, _ in counts])
        times = np.array([count for _, count in counts], float)
        fit = np.zeros_like(self.weights)
        np.add.at(fit, states[:, 0], times[:, None] * self._log_likelihood(states[:, 1], states[:, 2]))
        fit = np.exp(fit - fit.max(1, keepdims=True))
        common = np.full(fit.shape[1], 1 / fit.shape[1])
        seen = np.unique(states[:, 0])
        for _ in range(EM_STEPS):
            shares = _rows_to_one(fit[seen] * common)
            common = (shares.sum(0) + 1 / len(common)) / (len(seen) + 1)
        self.weights = _rows_to_one(fit * common)

    def given(self, group: Ints, correct: Ints, wrong: Ints) -> Floats:
        """Weights of the beta distributions for prompts with these counts: rows of 28 that sum to 1."""
        likelihood = self._log_likelihood(correct, wrong)
        return _rows_to_one(self.weights[group] * np.exp(likelihood - likelihood.max(1, keepdims=True)))

    def rate(self, weights: Floats, correct: Ints, wrong: Ints) -> Floats:
        """Chance that the next decided sample is correct."""
        more = self._log_likelihood(correct + 1, wrong) - self._log_likelihood(correct, wrong)
        return np.asarray(np.einsum("sb,sb->s", weights, np.exp(more)))

    def between(self, weights: Floats, correct: Ints, wrong: Ints, more: Ints, low: Ints, high: Ints) -> Floats:
        """Predictive probability that of `more` further decided samples low to high (inclusive) are correct.

        All are arrays over states. A mixture of beta-binomials.
        """
        x = np.arange(int(max(high.max(), 0)) + 1)[None, :]
        x = np.minimum(x, np.maximum(more, 0)[:, None])
        rest = np.maximum(more, 0)[:, None] - x
        a, b, both = self._rising
        log = (a[correct[:, None] + x] - a[correct][:, None]) + (b[wrong[:, None] + rest] - b[wrong][:, None])
        decided = correct + wrong
        log -= (both[decided + np.maximum(more, 0)] - both[decided])[:, None]
        ways = LOG_FACTORIAL[np.maximum(more, 0)][:, None] - LOG_FACTORIAL[x] - LOG_FACTORIAL[rest]
        each = np.einsum("sb,sxb->sx", weights, np.exp(log + ways[:, :, None]))
        place = np.arange(x.shape[1])[None, :]
        wanted = (place >= low[:, None]) & (place <= np.minimum(high, more)[:, None])
        return np.asarray(np.minimum(np.where(wanted, each, 0.0).sum(1), 1.0))

    def _log_likelihood(self, correct: Ints, wrong: Ints) -> Floats:
        a, b, both = self._rising
        return np.asarray(a[correct] + b[wrong] - both[correct + wrong])


MOST = 1000
"""Samples of one prompt at most."""
LOG_FACTORIAL = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, MOST + 2)))))


def _log_rising(start: Floats, most: int) -> Floats:
    """log of start · (start + 1) · … · (start + n - 1), rows n = 0 … most + 1."""
    steps = np.log(start[None, :] + np.arange(most + 1)[:, None])
    return np.concatenate((np.zeros((1, len(start))), np.cumsum(steps, axis=0)))


def _rows_to_one(rows: Floats) -> Floats:
    return np.asarray(rows / rows.sum(1, keepdims=True))
