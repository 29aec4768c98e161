"""What earlier runs made is known to later ones."""

from __future__ import annotations

from tracemill.core.types import Outcome
from tracemill.factory.strategies.strategy import Draw, Result
from tracemill.pipelines.durable import Durable


def test_results_are_found_by_draw() -> None:
    rows = [
        {"prompt_id": prompt, "sample": sample, "tokens": 10 * sample, "outcome": outcome.value}
        for prompt in ("b", "a", "gone")
        for sample, outcome in ((7, Outcome.WRONG), (0, Outcome.CORRECT), (1, Outcome.UNDECIDED))
    ]
    durable = Durable(["a", "b", "c"], rows)
    assert len(durable) == 6, "those of a prompt that is no longer in the job do not count"
    for task in (0, 1):
        assert durable(Draw(task, 0)) == Result(Outcome.CORRECT, 0)
        assert durable(Draw(task, 1)) == Result(Outcome.UNDECIDED, 10)
        assert durable(Draw(task, 7)) == Result(Outcome.WRONG, 70)
    for draw in (Draw(2, 0), Draw(1, 8), Draw(0, 2)):
        assert durable(draw) is None
    assert Durable(["a"], [])(Draw(0, 0)) is None
