"""Rendering questions and splitting what comes back, for every think format."""

from __future__ import annotations

import pytest

from tracemill.core.errors import InputError
from tracemill.core.markup import MARKUPS
from tracemill.core.types import Completion, Message, Prompt, Request, Sampling
from tracemill.factory.thinking import R1_ZERO_TEMPLATE, Example, ThinkFormat

PROMPT = Prompt("p", "What is 2 + 3?", "sums", "math", "5", "test")
EXAMPLE = Example("What is 1 + 1?", "One and one.", "2")


def finish(
    name: str, text: str, finish_reason: str = "stop", reasoning: str | None = None
) -> tuple[str, str, tuple[str, ...]]:
    thinking = ThinkFormat.named(name)
    request = Request("t", thinking.render(PROMPT.text), Sampling(), thinking.prefill, thinking.stop)
    done = Completion("t", text, 10, 20, finish_reason, reasoning)
    trace = thinking.trace(PROMPT, "job", 3, "model", request, done)
    assert (trace.id, trace.prompt_id, trace.sample, trace.completion_tokens) == ("t", "p", 3, 20)
    return trace.reasoning, trace.answer, trace.faults


@pytest.mark.parametrize("name", sorted(MARKUPS))
def test_what_a_worked_example_shows_is_well_formed(name: str) -> None:
    thinking = ThinkFormat.named(name, (EXAMPLE,))
    rendered = thinking.render(PROMPT.text)
    shown = rendered if isinstance(rendered, str) else "\n".join(message.content for message in rendered)
    assert EXAMPLE.prompt in shown
    assert EXAMPLE.answer in shown
    assert shown.index(EXAMPLE.prompt) < shown.index(PROMPT.text)


def test_r1_asks_in_chat_turns_and_opens_the_reasoning() -> None:
    thinking = ThinkFormat.named("r1", (EXAMPLE,))
    rendered = thinking.render(PROMPT.text)
    assert [message.role for message in rendered if isinstance(message, Message)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert isinstance(rendered[2], Message)
    assert rendered[2].content == "<think>\nOne and one.\n</think>\n\n<answer>2</answer>"
    assert (thinking.prefill, thinking.stop) == ("<think>\n", ("</answer>",))


def test_r1_zero_is_the_papers_template_as_raw_text() -> None:
    rendered = ThinkFormat.named("r1_zero").render(PROMPT.text)
    assert rendered == f"{R1_ZERO_TEMPLATE}\n\nUser: What is 2 + 3?\nAssistant: "


def test_native_gives_the_reasoning_to_the_chat_template() -> None:
    thinking = ThinkFormat.named("native", (EXAMPLE,))
    assert thinking.render(PROMPT.text) == (
        Message("user", EXAMPLE.prompt),
        Message("assistant", "2", reasoning="One and one."),
        Message("user", PROMPT.text),
    )
    assert (thinking.prefill, thinking.stop) == ("", ())


def test_boxed_puts_the_instruction_after_every_question() -> None:
    messages = ThinkFormat.named("boxed", (EXAMPLE,)).render(PROMPT.text)
    assert all(
        "\\boxed{}" in message.content
        for message in messages
        if isinstance(message, Message) and message.role == "user"
    )


@pytest.mark.parametrize(
    ("name", "text", "reasoning", "answer", "faults"),
    [
        ("r1", "Two and three.\n</think>\n\n<answer>5</answer>", "Two and three.", "5", ()),
        ("r1_zero", "Two and three. </think> <answer> 5 </answer>", "Two and three.", "5", ()),
        ("r1", "Two.\n</think>\n<answer>5", "Two.", "<answer>5", ("no_answer_close",)),
        ("r1", "Two.\n</think>\n5", "Two.", "5", ("no_answer_open", "no_answer_close")),
        ("r1", "Two and <answer>5</answer>", "Two and", "5", ("no_close_tag",)),
        ("r1", "A</think>so <answer>5</answer>", "A", "so <answer>5</answer>", ("text_outside",)),
        ("r1", "</think><answer>5</answer>", "", "5", ("empty_reasoning",)),
        ("r1", "A</think><answer></answer>", "A", "", ("empty_answer",)),
        ("boxed", "Two.</think>It is \\boxed{5}.", "Two.", "It is \\boxed{5}.", ()),
        ("boxed", "Two.</think>It is 5.", "Two.", "It is 5.", ("no_box",)),
        ("native", "<think>\nTwo.\n</think>\n\n5", "Two.", "5", ()),
        ("native", "It is 5.", "", "It is 5.", ("no_think",)),
        ("native", "Two.</think>5", "Two.", "5", ("no_open_tag",)),
    ],
)
def test_split(name: str, text: str, reasoning: str, answer: str, faults: tuple[str, ...]) -> None:
    assert finish(name, text) == (reasoning, answer, faults)


def test_a_completion_that_the_token_limit_ended_is_cut_off() -> None:
    assert finish("r1", "Two and", "length")[2][-1] == "cut_off"


def test_reasoning_that_the_engine_split_off_is_taken_as_it_is() -> None:
    assert finish("native", "5", reasoning="Two and three.") == ("Two and three.", "5", ())
    assert finish("native", "", reasoning="Two") == ("Two", "", ("empty_answer",))
    assert finish("native", "5", reasoning=" ") == ("", "5", ("no_think",))
    assert finish("boxed", "5", reasoning="Two and three.") == ("Two and three.", "5", ("no_box",))
    assert finish("native", "5<|im_end|>", reasoning="Two") == ("Two", "5<|im_end|>", ("control_token",))


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"generate\.thinking: unknown think format 'r1zero' \(did you mean 'r1_zero'\?\)"
    ):
        ThinkFormat.named("r1zero")
