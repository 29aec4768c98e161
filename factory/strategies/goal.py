"""When a prompt has what the job wants of it: enough correct samples, and a pass rate within the selection's window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracemill.factory.strategies.evidence import Evidence, Floats, Ints

_ROUNDING = 1e-9
"""0.7 · 10 is 7.000000000000001."""


@dataclass(frozen=True, slots=True)
class Goal:
    """At least `correct` correct samples, and correct / decided within [low, high]."""

    correct: int = 1
    low: float = 0.0
    high: float = 1.0

    @property
    def has_window(self) -> bool:
        """A prompt can leave the goal again by further samples."""
        return self.low > 0 or self.high < 1

    def is_met(self, correct: int, wrong: int, left: int) -> bool:
        """Whatever becomes of `left` further samples, the goal is met."""
        most = correct + wrong + left
        return correct >= self.correct and self.low <= correct / most and (correct + left) / most <= self.high

    def is_lost(self, correct: int, wrong: int, left: int) -> bool:
        """Whatever becomes of `left` further samples, the goal is missed."""
        most = correct + wrong + left
        if correct + left < self.correct:
            return True
        return bool(most) and ((correct + left) / most < self.low or correct / most > self.high)

    def chance(self, evidence: Evidence, weights: Floats, correct: Ints, wrong: Ints, more: Ints) -> Floats:
        """Predictive probability that the goal is met after `more` further decided samples; arrays over states."""
        size = correct + wrong + more
        low = np.maximum(self.correct, np.ceil(self.low * size - _ROUNDING)).astype(int) - correct
        high = np.floor(self.high * size + _ROUNDING).astype(int) - correct
        return evidence.between(weights, correct, wrong, more, np.maximum(low, 0), np.minimum(high, more))
