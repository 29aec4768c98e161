"""What of real traces refuses, and what only sounds like it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.types import Item
from tracemill.filters.refusal import EDGE, Refusal

MakeItem = Callable[..., Item]
CHAIN = "First I add 16 and 3, which is 19. " * 60


def rows(path: Path) -> list[Any]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def reason(item: Item, **options: bool) -> str | None:
    drop = Refusal(**options).check(item.trace, item.prompt)
    return drop.reason if drop else None


def test_no_real_trace_and_no_correct_solution_is_dropped(real_data: Path, make_item: MakeItem) -> None:
    traces = rows(real_data / "traces" / "long_reasoning.jsonl.gz")
    solutions = rows(real_data / "labelled" / "math_l5_outputs.jsonl.gz")
    right = [row for row in solutions if str(row["answer"]).strip() == str(row["gold"]).strip()]
    items = [make_item(row["reasoning"], row["answer"], row["prompt"]) for row in traces]
    items += [make_item("", row["output"], row["problem"]) for row in right]
    assert len(items) == 627 + 2708
    assert Counter(map(reason, items)) == {None: len(items)}
    assert Counter(reason(one, courtesy=False) for one in items) == {None: len(items) - 3, "boilerplate": 3}


def test_of_wrong_solutions_those_that_give_up_are_dropped(real_data: Path, make_item: MakeItem) -> None:
    solutions = rows(real_data / "labelled" / "math_l5_outputs.jsonl.gz")
    items = [make_item("", row["output"], row["problem"]) for row in solutions]
    assert Counter(filter(None, map(reason, items))) == {"refusal": 8, "boilerplate": 1}


@pytest.mark.parametrize(
    "text",
    [
        "I can't assist with that request.", "I cannot help you with this.", "I won’t provide instructions for that.",
        "I'm sorry, but I can't do that.", "I am not able to provide medical advice.", "I'm unable to share that content.",
        "I can't in good conscience give you that information.", "I have to decline this request.",
        "This goes against my guidelines.", "I cannot answer that question.", "I cannot engage in this conversation.",
        "As an AI trained to be careful, I cannot tell.",
        "很抱歉，我不能帮助你。", "我无法提供这个答案。", "申し訳ございませんが、その質問にはお答えできません。", "К сожалению, я не могу ответить на этот вопрос.",
        "Diese Frage? Ich kann diese Frage leider nicht beantworten.", "Je ne suis pas en mesure de répondre à cette question.",
        "No puedo responder a esa pregunta.",
    ],
)  # fmt: skip
def test_a_refusal_stands_in_the_answer_or_at_an_end_of_the_reasoning(text: str, make_item: MakeItem) -> None:
    for item in (make_item(CHAIN, text), make_item(f"{text} {CHAIN}"), make_item(f"{CHAIN} {text}")):
        assert reason(item) == "refusal"
        assert reason(item, refusal=True) is None
    assert reason(make_item(f"{CHAIN} {text} {CHAIN}")) is None
    assert reason(make_item(CHAIN, text, f"What does it mean? {text}")) is None


@pytest.mark.parametrize(
    "text",
    [
        "I can't use the formula here.", "We cannot assume that x is positive.", "I cannot give x a negative value.",
        "I can't help but think of the classic riddle.", "I'm unable to find a closed form, so I sum by hand.",
        "I cannot provide each child with two sweets.", "I'm sorry, but I can't see where 7 comes from.",
        "I will decline the null hypothesis' name.", "I must refuse the first offer, since 3 < 4.",
        "I cannot answer that question with certainty, as both doors could be safe.",
        'The knave says: "I cannot help you with that."', "“I can't help you”, says the guard.",
        "我无法假设x是整数。", "Ich kann die Gleichung nicht lösen.", "Je ne peux pas diviser par zéro.", "No puedo dividir por cero.",
        "I need helpful assistants: 3 of them.", "Let [a, b] be an interval.",
    ],
)  # fmt: skip
def test_what_only_sounds_like_one_passes(text: str, make_item: MakeItem) -> None:
    for item in (make_item(CHAIN, text), make_item(f"{text} {CHAIN}"), make_item(f"{CHAIN} {text}")):
        assert reason(item) is None


@pytest.mark.parametrize(
    "text",
    [
        "Dear Sir,\n[Your Name]", "As an AI language model, I find 19.", "As of my last update it was 19.",
        "My knowledge cutoff is 2023.", "You are a helpful assistant.", "作为一个人工智能语言模型，我认为是19。",
        "En tant que modèle de langage, je dirais 19.",
    ],
)  # fmt: skip
def test_leftovers_are_boilerplate(text: str, make_item: MakeItem) -> None:
    assert reason(make_item(CHAIN, text)) == "boilerplate"
    assert reason(make_item(CHAIN, text), leftover=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "19. Let me know if you'd like more.", "19. I hope this helps!", "Certainly! Here is how: 19.",
        "19. Feel free to ask.", "19。希望这对你有帮助！", "19. N'hésitez pas à demander.", "19. Ich hoffe, das hilft!",
        "19. ¡Espero que esto te ayude!", "19. Если у вас есть другие вопросы, пишите.",
    ],
)  # fmt: skip
def test_courtesies_pass_unless_they_are_not_wanted(text: str, make_item: MakeItem) -> None:
    assert reason(make_item(CHAIN, text)) is None
    assert reason(make_item(CHAIN, text), courtesy=False) == "boilerplate"


def test_the_detail_says_what_was_said(make_item: MakeItem) -> None:
    item = make_item(CHAIN, "I’m Sorry, but I can’t help.")
    drop = Refusal().check(item.trace, item.prompt)
    assert drop is not None
    assert drop.detail == 'refusal: "i am sorry, but i can\'t"'


def test_the_edge_is_where_it_is_said_to_be(make_item: MakeItem) -> None:
    said = "I cannot help with that."
    filling = "x " * EDGE
    assert reason(make_item("x " * (EDGE // 2 - len(said)) + said + filling)) == "refusal"
    assert reason(make_item("x " * (EDGE // 2) + said + filling)) is None
