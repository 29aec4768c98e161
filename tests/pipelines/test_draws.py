"""A strategy is told results in the order of its draws, whatever the order in which samples finish."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.types import Outcome
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.pipelines.draws import Draws


@dataclass
class Greedy:
    """Draws each prompt until it has been right once, at most `most` times; the next prompt depends on all so far."""

    prompts: int
    most: int
    lookahead: int | None
    told: list[tuple[Draw, Result]] = field(default_factory=list)
    drawn: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    @property
    def open_prompts(self) -> int:
        return self.prompts - len(self.settled)

    def next(self) -> Draw | None:
        out = {task: count - sum(d.task == task for d, _ in self.told) for task, count in self.drawn.items()}
        free = [task for task in range(self.prompts) if task not in self.settled and not out.get(task)]
        if not free:
            return None
        task = free[sum(r.tokens for _, r in self.told) % len(free)]
        self.drawn[task] = self.drawn.get(task, 0) + 1
        return Draw(task, self.drawn[task] - 1)

    def tell(self, draw: Draw, result: Result) -> bool:
        self.told.append((draw, result))
        if result.outcome is Outcome.CORRECT or draw.sample + 1 == self.most:
            self.settled.add(draw.task)
        return draw.task in self.settled


def outcome(draw: Draw) -> Result:
    dice = random.Random(f"{draw.task}/{draw.sample}")
    return Result(Outcome.CORRECT if dice.random() < 0.3 else Outcome.WRONG, dice.randint(1, 9))


def run(draws: Draws, at_once: int, seed: int) -> list[Draw]:
    """All draws that were made, with samples finishing in a random order."""
    dice = random.Random(seed)
    out: list[Draw] = []
    made: list[Draw] = []
    while True:
        while len(out) < at_once and (draw := draws.next()) is not None:
            out.append(draw)
        if not out:
            return made
        made.append(out.pop(dice.randrange(len(out))))
        draws.done(made[-1], outcome(made[-1]))


@given(at_once=st.integers(1, 12), seed=st.integers(0, 99), lookahead=st.integers(1, 9))
def test_the_same_outcomes_give_the_same_samples(at_once: int, seed: int, lookahead: int) -> None:
    alone, many = Greedy(7, 4, lookahead), Greedy(7, 4, lookahead)
    first = run(Draws(alone, lambda draw: None), 1, 0)
    draws = Draws(many, lambda draw: None)
    assert draws.open_prompts == 7
    second = run(draws, at_once, seed)
    assert draws.open_prompts == 0
    assert many.told == alone.told
    assert set(second) == set(first)
    assert len(second) == len(set(second))
    assert many.settled == set(range(7))


@given(seed=st.integers(0, 99), cut=st.integers(0, 20), lookahead=st.integers(1, 9))
def test_a_later_run_goes_on_as_if_there_had_been_one(seed: int, cut: int, lookahead: int) -> None:
    whole = Greedy(7, 4, lookahead)
    every = run(Draws(whole, lambda draw: None), 3, seed)
    durable = set(every[:cut])
    again = Greedy(7, 4, lookahead)
    rest = run(Draws(again, lambda draw: outcome(draw) if draw in durable else None), 5, seed + 1)
    assert again.told == whole.told
    assert set(rest) == set(every) - durable


def test_no_more_draws_than_the_lookahead_are_out() -> None:
    draws = Draws(Greedy(7, 4, 3), lambda draw: None)
    out = [draws.next() for _ in range(3)]
    assert None not in out
    assert draws.next() is None
    assert draws.out == 3
    late = out[1]
    assert late is not None
    draws.done(late, outcome(late))
    assert draws.next() is None, "the oldest one has not come"
    oldest = out[0]
    assert oldest is not None
    draws.done(oldest, outcome(oldest))
    assert draws.next() is not None
