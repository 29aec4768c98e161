"""Samples where they are needed: stops prompts that have enough or are hopeless, and goes on with the promising ones.

Each prompt's chance comes from its own results and a prior learned from the other prompts of the job (`evidence`). The
next sample is drawn of the prompt with the greatest expected gain per expected token: P(correct) / (missing correct
samples · tokens), a one-step index (for one correct sample a prompt's chance only falls while it waits for it, so the
greedy order is the best one: Gittins 1979). A prompt ends when it has what is wanted of it, when it has had
`max_samples`, when the engine refuses it, or when the predictive probability of getting there is below `hopeless`. The
job ends with the last prompt or with its budget: `budget_tokens`, or else as many samples as `fixed` would draw. What
was refused costs nothing of it.

Decisions depend on nothing but what was told, so a job with a larger budget begins with the same draws, up to those
that were out when the smaller one was spent. There is no budget in GPU-seconds: they differ from run to run, and so
would the samples. Stop the job when they are spent, or give `budget_tokens` = GPU-seconds · tokens a GPU-second. The
strategy is blind to text: groups tell it which prompts are alike.
docs/design/004-strategies.md holds the measurements, and what stopping early does to pass rates.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from tracemill.core.errors import InputError
from tracemill.core.types import Outcome
from tracemill.factory.strategies.evidence import MOST, Evidence
from tracemill.factory.strategies.goal import Goal
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.states import Key, State, Waiting
from tracemill.factory.strategies.strategy import Draw, Result

_LEAST_OUT = 64
"""So many draws may always be out: an engine decodes 64 sequences in little more time than one."""
_SHARE = 0.5
"""Of the unsettled prompts, out at a time where a budget in tokens decides (`AdaptiveOptions.share`)."""
_SMALL = 4
"""Groups of fewer prompts are one group: there is nothing to be learned from another prompt of theirs."""
_BATCH = 2_000_000
"""Numbers in one array of a forecast (16 MB)."""


class Adaptive:
    """See the module. Memory: 16 bytes a prompt and 0.5 kB a state (groups · counts that occur)."""

    def __init__(
        self,
        options: AdaptiveOptions,
        samples: int,
        groups: Sequence[int],
        limits: Sequence[int] | None = None,
        window: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """`samples`: what `fixed` would draw of a prompt; `groups`: the kind (domain, task family) of each prompt, any
        numbers; `limits`: most samples that can be had of each (a recording's); `window`: the selection's pass rates.

        Raises InputError where the options do not fit `samples`.
        """
        most = most_samples(options, samples)
        self.lookahead: int | None = options.lookahead
        self._options = options
        self._share = options.share or (_SHARE if options.budget_tokens else 1.0)
        self._samples = samples
        self._goal = Goal(options.correct, *window)
        self._groups = _pooled(groups)
        self._limits = array("H", [most] * len(groups) if limits is None else [min(most, limit) for limit in limits])
        self._correct, self._wrong, self._drawn = (array("H", [0]) * len(groups) for _ in range(3))
        self._evidence = Evidence(max(self._groups, default=0) + 1, most)
        self._states: dict[Key, State] = {}
        self._waiting = Waiting(len(groups))
        self._out: deque[float] = deque()
        """What each draw that is out is expected to cost, in the order of the draws."""
        self._reserved = 0.0
        """Their sum."""
        self._spent = 0.0
        self._budget = float(options.budget_tokens or sum(min(samples, limit) for limit in self._limits))
        self._told = 0
        self._next_fit = 16
        self._open = sum(map(bool, self._limits))
        """Prompts that have a draw out or wait for one."""
        for task, limit in enumerate(self._limits):
            if limit:
                self._wait(task)

    @property
    def open_prompts(self) -> int:
        """Those that have a draw out, and of those that wait so many as the budget still pays a sample for."""
        best = self._waiting.best()
        if best is None or not self._affords(best):
            return len(self._out)
        left = self._budget - self._spent - self._reserved
        return min(self._open, len(self._out) + max(1, int(left / self._cost(best))))

    def next(self) -> Draw | None:
        """A sample of the most promising prompt that has none out; None where it is better to know more first."""
        if len(self._out) >= max(_LEAST_OUT, int(self._open * self._share)):
            return None
        while (state := self._waiting.best()) is not None:
            if state.chance < self._options.hopeless:
                self._open -= self._waiting.drop()
                continue
            if not self._affords(state):
                return None
            task, cost = self._waiting.take(), self._cost(state)
            self._out.append(cost)
            self._reserved += cost
            self._drawn[task] += 1
            return Draw(task, self._drawn[task] - 1)
        return None

    def tell(self, draw: Draw, result: Result) -> bool:
        """True where nothing more of this prompt will be drawn. False may become true without a further result: by the
        end of the budget, or when what is learned elsewhere makes the prompt hopeless."""
        task = draw.task
        self._reserved -= self._out.popleft()
        if result.outcome is None:
            self._open -= 1
            return True
        self._spent += result.tokens if self._options.budget_tokens else 1
        self._learn(task, result)
        if self._told >= self._next_fit:
            self._fit()
        if self._wait(task):
            return False
        self._open -= 1
        return True

    def _cost(self, state: State) -> float:
        return state.tokens if self._options.budget_tokens else 1.0

    def _affords(self, state: State) -> bool:
        return self._spent + self._reserved + self._cost(state) <= self._budget

    def _learn(self, task: int, result: Result) -> None:
        group, is_correct = self._groups[task], result.outcome is Outcome.CORRECT
        self._told += 1
        self._evidence.add_tokens(group, is_correct, result.tokens)
        if result.outcome is Outcome.UNDECIDED:
            return  # a sample that was paid for, but no evidence of anything
        self._evidence.add(group, self._correct[task], self._wrong[task], is_correct)
        (self._correct if is_correct else self._wrong)[task] += 1

    def _wait(self, task: int) -> bool:
        """Puts a prompt among its like, unless it has ended."""
        key = Key(self._groups[task], self._correct[task], self._wrong[task], self._drawn[task], self._limits[task])
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(key, len(self._states), is_over=self._is_over(key))
            if not state.is_over:
                self._forecast([state])
        if state.is_over or state.chance < self._options.hopeless:
            return False
        self._waiting.put(task, state)
        return True

    def _is_over(self, key: Key) -> bool:
        """It has what is wanted, cannot get it, or has had all its samples."""
        left = key.limit - key.drawn
        return (
            not left
            or self._goal.is_met(key.correct, key.wrong, self._left(key))
            or self._goal.is_lost(key.correct, key.wrong, left)
        )

    def _left(self, key: Key) -> int:
        """Samples to the end of the plain ones; beyond these, to the limit."""
        plain = min(self._samples, key.limit) - key.drawn
        return plain if plain >= 0 else key.limit - key.drawn

    def _fit(self) -> None:
        """Learns the priors anew and orders the prompts by them, after 5 % more results each time."""
        self._evidence.fit()
        states = [state for state in self._states.values() if not state.is_over]
        rows = max(1, _BATCH // (len(self._evidence.weights[0]) * (max(self._limits) + 1)))
        for at in range(0, len(states), rows):
            self._forecast(states[at : at + rows])
        self._waiting.order(states)
        self._next_fit = self._told + max(16, self._told // 20, len(self._states) // 8)

    def _forecast(self, states: list[State]) -> None:
        """What is to be expected of prompts in these states."""
        group, correct, wrong, drawn, limit = np.array([state.key for state in states]).T
        weights = self._evidence.given(group, correct, wrong)
        rate = self._evidence.rate(weights, correct, wrong)
        tokens = rate * self._evidence.tokens[group, 1] + (1 - rate) * self._evidence.tokens[group, 0]
        # Where some samples could not be judged, others will not be: their share, with one judged sample added.
        decided = (correct + wrong + 1) / (drawn + 1)
        to_limit = np.rint((limit - drawn) * decided).astype(int)
        chance = self._goal.chance(self._evidence, weights, correct, wrong, to_limit)
        if self._goal.has_window:
            left = np.array([self._left(state.key) or state.key.limit - state.key.drawn for state in states])
            near = np.rint(left * decided).astype(int)
            soon = self._goal.chance(self._evidence, weights, correct, wrong, near)
            chance = np.maximum(chance, soon)
            index = soon / (left * tokens)
        else:
            index = rate * decided / ((self._options.correct - correct) * tokens)
        for at, state in enumerate(states):
            state.index, state.chance, state.tokens = float(index[at]), float(chance[at]), float(tokens[at])


def most_samples(options: AdaptiveOptions, samples: int) -> int:
    """Samples that one prompt may get. Raises InputError where the options do not fit `samples`."""
    most = options.max_samples or min(2 * samples, MOST)
    where = "generate.strategy.adaptive"
    if most < samples:
        raise InputError(f"{where}.max_samples: {most} is below generate.samples ({samples}); give at least that")
    if options.correct > most:
        raise InputError(
            f"{where}.correct: {options.correct} cannot come of {most} samples (max_samples); ask for fewer"
        )
    return most


def _pooled(groups: Sequence[int]) -> array[int]:
    """The group of each prompt as numbers from 0, small groups as one."""
    sizes = Counter(groups)
    numbers: dict[int | None, int] = {}
    names = (group if sizes[group] >= _SMALL else None for group in groups)
    return array("i", (numbers.setdefault(name, len(numbers)) for name in names))
