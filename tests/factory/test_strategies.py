"""Strategies decide by what they are told alone: the same outcomes give the same samples, none twice, none too many.

They are run by the executor that jobs use (`pipelines.draws`), with samples finishing in a random order.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.options import configured
from tracemill.core.types import Outcome
from tracemill.factory.strategies.adaptive import Adaptive
from tracemill.factory.strategies.fixed import Fixed
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.factory.strategies.retry import Retry
from tracemill.factory.strategies.strategy import Draw, Result, Strategy
from tracemill.pipelines.draws import Draws

FAILED = (Outcome.WRONG, Outcome.UNPARSED)


@dataclass(frozen=True)
class World:
    """Outcomes by draw, as a seed has them; prompts of one group are alike."""

    seed: int
    groups: tuple[int, ...]
    unsure: float = 0.1
    """Share of samples that nobody can judge, and of prompts that the engine refuses whenever it is asked."""

    def __call__(self, draw: Draw) -> Result:
        dice = random.Random(f"{self.seed}/{self.groups[draw.task]}/{draw.task}/{draw.sample}/{draw.variant}")
        rate = random.Random(f"{self.seed}/{self.groups[draw.task]}").random() ** 2
        tokens = dice.randint(1, 200)
        if random.Random(f"{self.seed}/{draw.task}/{draw.variant}").random() < self.unsure:
            return Result(None)
        if dice.random() < self.unsure:
            return Result(Outcome.UNDECIDED, tokens)
        return Result(Outcome.CORRECT if dice.random() < rate else dice.choice(FAILED), tokens)


@dataclass
class Record:
    """A run: what was made, in the order of finishing, and what each prompt came to."""

    made: list[Draw] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    """Prompts that were open whenever no more was drawn for now."""

    def count(self, variant: int | None = None) -> Counter[int]:
        return Counter(draw.task for draw in self.made if variant is None or draw.variant == variant)


def run(
    strategy: Strategy, world: Callable[[Draw], Result], at_once: int = 1, seed: int = 0, known: Collection[Draw] = ()
) -> Record:
    """Draws to the end, with so many samples at once that finish in a random order."""
    dice, out, record = random.Random(seed), list[Draw](), Record()
    draws = Draws(strategy, lambda draw: world(draw) if draw in known else None)
    while True:
        while len(out) < at_once and (draw := draws.next()) is not None:
            out.append(draw)
        record.open.append(draws.open_prompts)
        assert record.open[-1] >= len({draw.task for draw in out})
        if not out:
            return record
        record.made.append(out.pop(dice.randrange(len(out))))
        draws.done(record.made[-1], world(record.made[-1]))


def correct(world: World, made: Sequence[Draw]) -> Counter[int]:
    return Counter(draw.task for draw in made if world(draw).outcome is Outcome.CORRECT)


@st.composite
def options(draw: st.DrawFn, samples: int) -> AdaptiveOptions:
    return AdaptiveOptions(
        correct=draw(st.integers(1, samples)),
        max_samples=draw(st.integers(samples, samples + 6)),
        hopeless=draw(st.sampled_from([0.0, 0.05, 0.3])),
        budget_tokens=draw(st.none() | st.integers(1, 20_000)),
        share=draw(st.sampled_from([None, 0.125, 1.0])),
        lookahead=draw(st.integers(1, 90)),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Callable[[], Strategy], World, Callable[[int], int]]:
    """Makes a strategy, with a world and the most samples that it may draw of a prompt."""
    groups = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=40)))
    world = World(draw(st.integers(0, 99)), groups, draw(st.sampled_from([0.0, 0.1, 0.6])))
    samples = draw(st.integers(1, 6))
    limits = [draw(st.integers(0, 12)) for _ in groups] if draw(st.booleans()) else [12] * len(groups)
    own = draw(options(samples))
    window = draw(st.sampled_from([(0.0, 1.0), (0.0, 0.8), (0.25, 0.75), (0.5, 0.5)]))
    retries = draw(st.none() | st.lists(st.integers(1, 3), max_size=3))
    is_fixed = draw(st.booleans())
    most = own.max_samples or 0

    def make() -> Strategy:
        inner: Strategy = Fixed(limits) if is_fixed else Adaptive(own, samples, groups, limits, window)
        return inner if retries is None else Retry(inner, len(groups), 12, retries)

    return make, world, lambda task: (limits[task] if is_fixed else min(limits[task], most)) + sum(retries or [])


@given(case=cases(), at_once=st.integers(1, 30), seed=st.integers(0, 99))
def test_the_same_outcomes_give_the_same_samples_none_twice_none_too_many(
    case: tuple[Callable[[], Strategy], World, Callable[[int], int]], at_once: int, seed: int
) -> None:
    make, world, most = case
    alone, many = run(make(), world), run(make(), world, at_once, seed)
    assert set(many.made) == set(alone.made)
    assert many.open[-1] == alone.open[-1] == 0
    assert len({(draw.task, draw.sample) for draw in many.made}) == len(many.made)
    assert all(count <= most(task) for task, count in many.count().items())
    for task in range(len(world.groups)):
        plain = sorted(draw.sample for draw in many.made if draw.task == task and not draw.variant)
        assert plain == list(range(len(plain)))


@given(case=cases(), cut=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_later_run_makes_what_is_left_and_nothing_else(
    case: tuple[Callable[[], Strategy], World, Callable[[int], int]], cut: float, seed: int
) -> None:
    make, world, _ = case
    whole = run(make(), world, 7, seed).made
    durable = set(whole[: int(cut * len(whole))])
    rest = run(make(), world, 11, seed + 1, known=durable).made
    assert set(rest) == set(whole) - durable
    assert len(rest) == len(set(rest))


def test_fixed_draws_the_samples_of_a_prompt_together() -> None:
    strategy = Fixed([2, 0, 3])
    drawn = list(iter(strategy.next, None))
    assert [(draw.task, draw.sample) for draw in drawn] == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]
    answers = [strategy.tell(draw, Result(Outcome.WRONG)) for draw in reversed(drawn)]
    assert answers == [False, False, True, False, True]


@settings(max_examples=40)
@given(seed=st.integers(0, 99), samples=st.integers(1, 8), wanted=st.integers(1, 3))
def test_adaptive_without_giving_up_covers_what_fixed_covers(seed: int, samples: int, wanted: int) -> None:
    world = World(seed, tuple(task % 4 for task in range(30)))
    usual = correct(world, run(Fixed([samples] * 30), world).made)
    own = AdaptiveOptions(correct=min(wanted, samples), max_samples=samples, hopeless=0.0)
    made = run(Adaptive(own, samples, world.groups), world, 5, seed).made
    found = correct(world, made)
    assert {task for task in found if found[task] >= own.correct} == {
        task for task in usual if usual[task] >= own.correct
    }
    assert max(found.values(), default=0) <= own.correct, "it stops with enough"


@settings(max_examples=40)
@given(seed=st.integers(0, 99), window=st.sampled_from([(0.0, 0.9), (0.1, 0.9), (0.3, 0.6), (0.5, 0.5)]))
def test_adaptive_that_knows_the_window_keeps_the_prompts_that_fixed_keeps(
    seed: int, window: tuple[float, float]
) -> None:
    world = World(seed, tuple(task % 4 for task in range(30)), unsure=0.2)

    def kept(made: Sequence[Draw]) -> set[int]:
        right = correct(world, made)
        decided = Counter(draw.task for draw in made if world(draw).outcome not in (None, Outcome.UNDECIDED))
        return {task for task in right if window[0] <= right[task] / decided[task] <= window[1]}

    own = AdaptiveOptions(max_samples=6, hopeless=0.0)
    made = run(Adaptive(own, 6, world.groups, window=window), world, 5, seed).made
    whole = run(Fixed([6] * 30), world).made
    assert kept(made) == kept(whole)
    assert len(made) < len(whole)


def test_what_is_saved_on_easy_and_hopeless_prompts_goes_to_those_near_the_edge() -> None:
    rates = [1.0, 0.0, 0.15]
    groups = [task // 200 for task in range(600)]

    def world(draw: Draw) -> Result:
        dice = random.Random(f"{draw.task}/{draw.sample}")
        return Result(Outcome.CORRECT if dice.random() < rates[groups[draw.task]] else Outcome.WRONG, 100)

    count = run(Adaptive(AdaptiveOptions(max_samples=24), 8, groups), world, 64).count()
    easy, hopeless, edge = (sum(count[task] for task in range(at, at + 200)) for at in (0, 200, 400))
    assert easy == 200
    assert hopeless < 600, "not 1,600: a sample or two of each, then none"
    assert max(count[task] for task in range(400, 600)) > 8
    assert edge > 1000


@pytest.mark.parametrize("budget", [1_000, 20_000, 100_000])
def test_a_budget_in_tokens_is_kept_to_and_a_larger_one_begins_the_same(budget: int) -> None:
    world = World(5, tuple(task % 3 for task in range(400)))
    own = AdaptiveOptions(correct=4, budget_tokens=budget, lookahead=8, share=1.0)
    made = run(Adaptive(own, 8, world.groups), world).made
    spent = sum(world(draw).tokens for draw in made)
    assert budget - 250 < spent < budget + 8 * 200
    larger = run(Adaptive(replace(own, budget_tokens=3 * budget), 8, world.groups), world).made
    assert made[:-8] == larger[: len(made) - 8]


def test_without_a_budget_in_tokens_it_never_draws_more_than_fixed() -> None:
    world = World(8, tuple([0] * 100), unsure=0.0)
    own = AdaptiveOptions(correct=6, max_samples=30, hopeless=0.0)
    assert len(run(Adaptive(own, 6, world.groups), world, 9).made) == 600


def test_what_nobody_could_judge_counts_as_a_draw_and_is_no_evidence() -> None:
    def world(draw: Draw) -> Result:
        is_sick = draw.task < 50
        return Result(Outcome.UNDECIDED if is_sick else (Outcome.CORRECT, Outcome.WRONG)[draw.sample % 2], 10)

    strategy = Adaptive(AdaptiveOptions(correct=3, max_samples=6, hopeless=0.0), 6, [0] * 100)
    count = run(strategy, world, 16).count()
    assert all(count[task] == 4 for task in range(50)), "two more could not be three correct ones"
    assert all(count[task] == 5 for task in range(50, 100)), "and pulled nobody down"


@pytest.mark.parametrize("budget", [None, 100_000])
def test_adaptive_asks_a_prompt_that_was_refused_no_more_and_pays_nothing_for_it(budget: int | None) -> None:
    def world(draw: Draw) -> Result:
        if draw.task % 4 == 0:
            return Result(None)
        return Result(Outcome.CORRECT if draw.sample % 2 else Outcome.WRONG, 100)

    own = AdaptiveOptions(correct=3, max_samples=6, hopeless=0.0, budget_tokens=budget)
    strategy = Adaptive(own, 6, [0] * 200)
    record = run(strategy, world, 64)
    count = record.count()
    assert all(count[task] == (1 if task % 4 == 0 else 6) for task in range(200))
    assert record.open[-1] == 0
    pays = Adaptive(AdaptiveOptions(correct=6, max_samples=6, budget_tokens=100, lookahead=1), 6, [0] * 200)
    for _ in range(10):
        draw = pays.next()
        assert draw is not None
        assert pays.tell(draw, Result(None))
    made = run(pays, lambda draw: Result(Outcome.CORRECT, 50)).made
    assert len(made) == 2, "the budget of 100 tokens is whole"


def test_expected_tokens_do_not_fall_with_refusals() -> None:
    """Of two kinds, one as cheap as the other and a little less often right, half of the better one is refused."""

    def world(draw: Draw) -> Result:
        if draw.task < 50:
            return Result(None)
        rate = 0.5 if draw.task < 100 else 0.65
        dice = random.Random(f"{draw.task}/{draw.sample}")
        return Result(Outcome.CORRECT if dice.random() < rate else Outcome.WRONG, 100)

    own = AdaptiveOptions(correct=4, hopeless=0.0, lookahead=16, budget_tokens=30_000)
    count = run(Adaptive(own, 8, [task // 100 for task in range(200)]), world, 16).count()
    worse, better = (sum(count[task] for task in range(at, at + 50)) / 50 for at in (50, 100))
    assert better > worse, (better, worse)


def test_open_prompts_end_with_the_budget_and_with_what_turns_out_to_be_hopeless() -> None:
    def fails(draw: Draw) -> Result:
        return Result(Outcome.WRONG, 100)

    groups = [0] * 500
    spent = run(Adaptive(AdaptiveOptions(hopeless=0.0, budget_tokens=5_000), 8, groups), fails, 8)
    assert spent.open[0] == 500
    assert len(spent.count()) < 500, "the others end with the budget"
    assert spent.open[-1] == 0
    hopeless = run(Adaptive(AdaptiveOptions(), 8, groups), fails, 8)
    assert hopeless.open[0] == 500
    steps = [earlier - later for earlier, later in itertools.pairwise(hopeless.open)]
    assert min(steps) >= 0
    assert max(steps) > 8, "dropped together while they waited, not one by one with their results"
    assert hopeless.open[-1] == 0
    recorded = run(Fixed([4] * 100 + [0] * 100), fails, 8)
    assert (recorded.open[0], recorded.open[-1]) == (100, 0), "of the others nothing is recorded"
    retried = run(Retry(Adaptive(AdaptiveOptions(), 8, groups), 500, 16, [2]), fails, 8)
    assert retried.open[-1] == 0
    assert retried.count(1).total() == 2 * len(retried.count(0))


def test_what_was_refused_is_tried_again_only_in_other_words() -> None:
    def world(draw: Draw) -> Result:
        refused = {0: draw.variant != 2, 1: True, 2: draw.sample == 0, 3: False}[draw.task]
        return Result(None) if refused else Result(Outcome.WRONG, 10)

    for inner in (Fixed([2] * 4), Adaptive(AdaptiveOptions(max_samples=2, hopeless=0.0), 2, [0] * 4)):
        made = run(Retry(inner, 4, 2, [1, 2, 1], reworded=[2]), world).made
        tried = {task: [draw.variant for draw in made if draw.task == task and draw.variant] for task in range(4)}
        assert tried[0] == tried[1] == [2, 2]
        assert tried[3] == [1, 2, 2, 3]
        # One sample that another engine of a mix refused says nothing of the prompt, where others were made.
        assert tried[2] == ([1, 2, 2, 3] if isinstance(inner, Fixed) else [2, 2])


def test_retry_tries_what_failed_with_each_variant_until_one_succeeds() -> None:
    def world(draw: Draw) -> Result:
        good = {0: draw.sample == 1, 1: draw.variant == 1, 2: draw.variant == 2 and draw.sample == 7, 3: False}
        return Result(Outcome.CORRECT if good[draw.task] else Outcome.WRONG)

    made = run(Retry(Fixed([4] * 4), 4, 4, [2, 3]), world, 3).made
    found = {task: sorted((draw.sample, draw.variant) for draw in made if draw.task == task) for task in range(4)}
    plain, first, second = [(at, 0) for at in range(4)], [(4, 1), (5, 1)], [(6, 2), (7, 2), (8, 2)]
    assert found == {0: plain, 1: plain + first, 2: plain + first + second, 3: plain + first + second}


def test_retry_leaves_prompts_alone_that_nobody_tried() -> None:
    world = World(1, tuple([0] * 50), unsure=0.0)
    own = AdaptiveOptions(budget_tokens=500, lookahead=1)
    made = run(Retry(Adaptive(own, 4, world.groups), 50, 8, [2]), world).made
    tried = {draw.task for draw in made if not draw.variant}
    failed = tried - set(correct(world, [draw for draw in made if not draw.variant]))
    assert {draw.task for draw in made if draw.variant} == failed
    assert 0 < len(failed) < 50


@pytest.mark.parametrize(
    ("given_options", "line"),
    [
        ({"correct": 0}, "generate.strategy.adaptive.correct: 0 is out of range; give 1 to 1000"),
        ({"max_samples": 2000}, "generate.strategy.adaptive.max_samples: 2000 is out of range; give 1 to 1000"),
        ({"hopeless": 1.0}, "generate.strategy.adaptive.hopeless: 1.0 is no probability below 1; give 0 to 0.99"),
        ({"budget_tokens": 0}, "generate.strategy.adaptive.budget_tokens: 0 buys nothing; give 1 or more, or leave it out"),
        ({"share": 0}, "generate.strategy.adaptive.share: 0.0 is out of range; give more than 0 and at most 1"),
        ({"lookahead": 0}, "generate.strategy.adaptive.lookahead: 0 lets nothing be drawn; give 1 or more"),
        ({"max_samples": 4}, "generate.strategy.adaptive.max_samples: 4 is below generate.samples (8); give at least that"),
        ({"correct": 17}, "generate.strategy.adaptive.correct: 17 cannot come of 16 samples (max_samples); ask for fewer"),
    ],
)  # fmt: skip
def test_a_bad_option_gets_one_line(given_options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Adaptive(configured(AdaptiveOptions, given_options, "generate.strategy.adaptive", "adaptive"), 8, [0])
    assert str(caught.value) == line


def test_a_retry_without_samples_gets_one_line() -> None:
    with pytest.raises(InputError, match=r"^generate\.retry\[1\]\.samples: 0 tries nothing; give 1 or more$"):
        Retry(Fixed([1]), 1, 1, [2, 0])
