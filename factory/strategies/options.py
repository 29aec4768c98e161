"""What can be set of the adaptive strategy."""

from __future__ import annotations

from dataclasses import dataclass

from tracemill.core.errors import InputError
from tracemill.factory.strategies.evidence import MOST


@dataclass(frozen=True, slots=True)
class AdaptiveOptions:
    """Options of `generate.strategy.adaptive`. Raises InputError that begins with the option."""

    correct: int = 1
    """Correct samples wanted of a prompt."""
    group_by: tuple[str, ...] = ()
    """Columns of the prompts that tell kinds of them apart (`level`), beside their source and domain. What is
    saved beyond stopping early comes from knowing how likely a kind is."""
    max_samples: int | None = None
    """Most samples of a prompt; None: twice `generate.samples`."""
    hopeless: float = 0.05
    """A prompt ends when it gets there with less than this probability; 0 gives up only what cannot get there."""
    budget_tokens: int | None = None
    """Generated tokens of the job, exceeded by the last samples at most; None: as many samples as `fixed` draws."""
    share: float | None = None
    """Greatest share of the unsettled prompts that is out at a time; None: 0.5 with `budget_tokens`, else 1. Less saves
    tokens where a budget decides which prompts get them; more keeps engines busier in jobs of few prompts."""
    lookahead: int = 8192
    """Most draws out before the oldest one's result is told: 16 for each sequence that all replicas decode at once
    keep engines busy where the longest sample takes ten times as long as the mean."""

    def __post_init__(self) -> None:
        whole = {"correct": self.correct, "max_samples": self.max_samples}
        for name, value in whole.items():
            if value is not None and not 1 <= value <= MOST:
                raise InputError(f"{name}: {value} is out of range; give 1 to {MOST}")
        if not 0 <= self.hopeless < 1:
            raise InputError(f"hopeless: {self.hopeless} is no probability below 1; give 0 to 0.99")
        if self.budget_tokens is not None and self.budget_tokens < 1:
            raise InputError(f"budget_tokens: {self.budget_tokens} buys nothing; give 1 or more, or leave it out")
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(f"share: {self.share} is out of range; give more than 0 and at most 1")
        if self.lookahead < 1:
            raise InputError(f"lookahead: {self.lookahead} lets nothing be drawn; give 1 or more")
