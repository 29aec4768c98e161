"""Groups in OpenRLHF of which some samples have no reward.

OpenRLHF (0.11) takes a number for each sample, makes advantages of those of a prompt, and can be given neither a hole
nor an estimator that knows one. So a sample that could not be judged gets the mean of its group, where its advantage is
0, and the others keep theirs: with `dr_grpo` as they are; with `group_norm` a little larger (the deviation is over one
more; of 8 samples 2 unjudged: times 1.18) and with `rloo` a little smaller. Its tokens still count in what the
loss is divided by.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracemill.trainers.rewards import Reward, Weights

RECENT = 1024
"""Rewards whose mean stands for that of a group of which nothing could be judged."""


class Recent:
    """The last rewards of this process, for what has no group to be neutral in. Safe in any thread."""

    def __init__(self) -> None:
        self._totals: deque[float] = deque(maxlen=RECENT)

    def add(self, found: Reward) -> None:
        """Remember it, if it is known."""
        if found.total is not None:
            self._totals.append(found.total)

    def mean(self) -> float:
        """0 before the first."""
        return _mean([*self._totals.copy()], 0.0)


@dataclass(slots=True)
class Group:
    """The samples of one prompt that are under way."""

    asked: object
    """What they were all asked with; held here, so that nothing else gets its id."""
    members: int = 0
    rewards: list[Reward] = field(default_factory=list)
    whole: asyncio.Event = field(default_factory=asyncio.Event)


class Groups:
    """Holds each sample back until all of its prompt are judged. For one event loop."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._groups: dict[int, Group] = {}
        self._recent = Recent()

    async def told(self, asked: object, sample: Awaitable[Reward]) -> dict[str, Any]:
        """What OpenRLHF is told of a sample; those with the same object `asked` are a group.

        All of a group must be started together, as `asyncio.gather` does it.
        """
        group = self._groups.setdefault(id(asked), Group(asked))
        group.members += 1
        try:
            await asyncio.sleep(0)  # until all that were started together are counted
            found = await sample
            group.rewards.append(found)
            self._recent.add(found)
        except BaseException:
            group.members -= 1  # the others do not wait for it
            raise
        finally:
            if len(group.rewards) == group.members:
                self._groups.pop(id(asked), None)
                group.whole.set()
        await group.whole.wait()
        totals = [one.total for one in group.rewards if one.total is not None]
        accuracies = [one.accuracy for one in group.rewards if one.accuracy is not None]
        return told(found, self._weights, _mean(totals, self._recent.mean()), _mean(accuracies, 0.0))


def told(found: Reward, weights: Weights, total: float, accuracy: float) -> dict[str, Any]:
    """A reward as OpenRLHF takes it; `total` and `accuracy` stand where it has none itself.

    `scores` is for dynamic filtering. The logs are numbers, with the same names for all samples: a component that
    cannot be told is 0 there, as it is in the total, and `accuracy` is the share of all that is correct.
    """
    parts = {name: float(value or 0) for name, value in found.parts(weights).items()}
    return {
        "rewards": total if found.total is None else found.total,
        "scores": accuracy if found.accuracy is None else found.accuracy,
        "extra_logs": parts | {"undecided": float(found.total is None)},
    }


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
