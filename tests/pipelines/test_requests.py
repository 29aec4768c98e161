"""What is asked for one sample."""

from __future__ import annotations

from tracemill.core.types import Message, Prompt
from tracemill.factory.strategies.strategy import Draw
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.requests import request_of


def test_a_second_try_may_hint_at_the_answer_and_takes_no_place_in_the_question_for_its_own() -> None:
    source = {"source": "reasoning_gym", "task": "gcd", "count": 1}
    retry = [{"samples": 1, "prompt": "{text} (It is {reference}.)"}]
    plan = make_plan(
        recipes.parse(
            {"name": "x", "prompts": [source], "generate": {"engine": "fake", "thinking": "native", "retry": retry}}
        )
    )
    prompt = Prompt("p", "What do {reference} and {text} mean?", "math", "math", "42", "own")
    thinking = plan.tasks[0].thinking
    asked = [request_of(plan, Draw(0, 0, variant), prompt, thinking) for variant in (0, 1)]
    assert asked[0].prompt == (Message("user", prompt.text),)
    assert asked[1].prompt == (Message("user", f"{prompt.text} (It is 42.)"),)
    assert {request.prompt_id for request in asked} == {"p"}
