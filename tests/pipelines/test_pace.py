"""The time that is left is predicted with an interval."""

from __future__ import annotations

import math
import random

from tracemill.pipelines.pace import Eta, Pace


def test_an_even_pace_is_predicted_exactly() -> None:
    pace = Pace()
    for tick in range(1, 201):
        pace.add(tick / 10, 5)
    eta = pace.eta(500)
    assert eta is not None
    assert math.isclose(eta.expected, 10, rel_tol=0.05)
    assert eta.low <= eta.expected <= eta.high
    assert eta.high - eta.low < 2
    assert pace.eta(0) == Eta(0, 0, 0)


def test_nothing_is_said_too_early_nor_before_the_first_is_done() -> None:
    pace = Pace()
    assert pace.eta(10) is None
    pace.add(300, 1)  # what was decoded first took five minutes
    for tick in range(3):
        pace.add(300.5 + tick, 1)
    assert pace.eta(10) is None
    for tick in range(4, 20):
        pace.add(300.5 + tick, 1)
    eta = pace.eta(100)
    assert eta is not None
    assert 80 < eta.expected < 130, "the five minutes do not count as a slow pace"


def test_memory_does_not_grow_and_long_jobs_keep_their_pace() -> None:
    pace = Pace()
    for second in range(1, 100_000):
        pace.add(second, 7)
    eta = pace.eta(7_000)
    assert eta is not None
    assert math.isclose(eta.expected, 1000, rel_tol=0.1)
    assert pace.seconds >= 2048


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        dice = random.Random(seed)
        pace, at, steps = Pace(), 0.0, [dice.expovariate(10) for _ in range(2000)]
        for step in steps[:600]:
            at += step
            pace.add(at, 1)
        eta = pace.eta(1400)
        assert eta is not None
        held += eta.low <= sum(steps[600:]) <= eta.high
    assert held >= 180, held


def test_a_stalling_job_has_no_upper_end() -> None:
    pace = Pace()
    for second in range(1, 12):
        pace.add(second, 50 if second % 5 == 0 else 0)
    eta = pace.eta(50)
    assert eta is not None
    assert eta.high == math.inf
