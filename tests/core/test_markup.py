"""Splitting loses nothing, finds every fault, and undoes joining."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.markup import FAULTS, MARKUPS, Markup, markup_named, split

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PLAIN = (
    st.text(st.characters(exclude_characters="<>\\"), min_size=1)
    .map(str.strip)
    .filter(lambda text: any(letter.isprintable() for letter in text))
)
PIECES = st.lists(st.sampled_from([*TAGS, "a", " ", "\n", "\\boxed{1}", "<", ">"]) | st.text(max_size=3)).map("".join)


@given(PLAIN, PLAIN, st.sampled_from(list(MARKUPS.values())))
def test_split_undoes_join(reasoning: str, answer: str, markup: Markup) -> None:
    if markup.boxed:
        answer += " \\boxed{1}"
    parts = split(markup.join(reasoning, answer), markup)
    assert (parts.reasoning, parts.answer, parts.faults) == (reasoning, answer, ())


@given(PIECES, st.sampled_from(list(MARKUPS.values())))
def test_split_loses_no_text_and_knows_its_faults(text: str, markup: Markup) -> None:
    parts = split(text, markup)
    assert set(parts.faults) <= set(FAULTS)
    assert len(set(parts.faults)) == len(parts.faults)
    assert not _letters(text) - _letters(parts.reasoning + parts.answer)
    if parts.faults == ():
        assert parts.reasoning
        assert parts.answer


def _letters(text: str) -> Counter[str]:
    """Characters that are neither space nor part of a tag."""
    for tag in TAGS:
        text = text.replace(tag, " ")
    return Counter(re.sub(r"\s", "", text))


@pytest.mark.parametrize(
    ("text", "markup", "reasoning", "answer", "faults"),
    [
        ("<think>a</think>b", "native", "a", "b", ()),
        ("b", "native", "", "b", ("no_think",)),
        ("a</think>b", "native", "a", "b", ("no_open_tag",)),
        ("<think>a", "native", "a", "", ("no_close_tag", "empty_answer")),
        ("<think></think>b", "native", "", "b", ("empty_reasoning",)),
        ("<think>\u200b\n</think>b", "native", "\u200b", "b", ("empty_reasoning",)),
        ("<think>a</think>\u2060", "native", "a", "\u2060", ("empty_answer",)),
        ("x<think>a</think>b", "native", "x<think>a", "b", ("text_outside",)),
        ("</think>a<think>b", "native", "", "a<think>b", ("wrong_order", "empty_reasoning")),
        ("<think>a</think>b", "boxed", "a", "b", ("no_box",)),
        ("<think>a</think>\\boxed{}", "boxed", "a", "\\boxed{}", ("no_box",)),
        ("<think>a</think>\\boxed{ }", "boxed", "a", "\\boxed{ }", ("no_box",)),
        ("<think>a</think>\\boxed{5", "boxed", "a", "\\boxed{5", ("no_box",)),
        ("<think>a</think>\\boxed{5} \\boxed{", "boxed", "a", "\\boxed{5} \\boxed{", ("no_box",)),
        ("<think>a</think>\\boxed{} or \\boxed{5}", "boxed", "a", "\\boxed{} or \\boxed{5}", ("no_box",)),
        ("<think>a</think>\\boxed{\\boxed{5}}", "boxed", "a", "\\boxed{\\boxed{5}}", ()),
        ("<think>a</think>\\boxed{{5}", "boxed", "a", "\\boxed{{5}", ("no_box",)),
        ("<think>a</think>} so \\\\boxed{5} {", "boxed", "a", "} so \\\\boxed{5} {", ()),
        ("<think>a</think>\\boxed{\\{5\\}}", "boxed", "a", "\\boxed{\\{5\\}}", ()),
        ("<think>a</think>b<|im_end|>", "native", "a", "b<|im_end|>", ("control_token",)),
        ("<think><|im_start|>a</think>b", "native", "<|im_start|>a", "b", ("control_token",)),
        ("<think>a<|eot_id|></think>b", "native", "a<|eot_id|>", "b", ("control_token",)),
        ("<think>a</think>b<|endoftext|>", "native", "a", "b<|endoftext|>", ("control_token",)),
        ("<think>a</think >c</think>b", "native", "a</think >c", "b", ("control_token",)),
        ("<think>a</think>b</Think>", "native", "a", "b</Think>", ("control_token",)),
        ("<think>a</think>b<｜end▁of▁sentence｜>", "native", "a", "b<｜end▁of▁sentence｜>", ("control_token",)),
        ("<think>|x| < 3, <|x|></think>b", "native", "|x| < 3, <|x|>", "b", ()),
        ("<think>a</think><answer>b</answer>", "r1", "a", "b", ()),
        ("<think>a</think>b", "r1", "a", "b", ("no_answer_open", "no_answer_close")),
        ("<think>a</think><answer>b", "r1", "a", "<answer>b", ("no_answer_close",)),
        ("<think>a</think>\n<answer> </answer>", "r1", "a", "", ("empty_answer",)),
        ("<think>a</think>so<answer>b</answer>", "r1", "a", "so<answer>b</answer>", ("text_outside",)),
        (
            "<answer>b</answer><think>a</think>",
            "r1",
            "<answer>b</answer><think>a",
            "",
            ("wrong_order", "text_outside", "empty_answer"),
        ),
        ("<think>a</think></answer>b<answer>", "r1", "a", "</answer>b<answer>", ("wrong_order",)),
        ("<think>a</think>b</answer>", "r1_zero", "a", "b</answer>", ("no_answer_open",)),
        ("<think>a</think>b<answer>c</answer>", "native", "a", "b<answer>c</answer>", ()),
        ("<think>a</think><answer>b</answer>c", "r1", "a", "<answer>b</answer>c", ("text_outside",)),
    ],
)
def test_a_split_names_what_is_wrong(
    text: str, markup: str, reasoning: str, answer: str, faults: tuple[str, ...]
) -> None:
    parts = split(text, MARKUPS[markup])
    assert (parts.reasoning, parts.answer, parts.faults) == (reasoning, answer, faults)


def test_many_boxes_take_linear_time() -> None:
    """Once 5 GB of copies: each box looked at all that followed it."""
    answer = "\\boxed{1} " * 50_000
    assert split(f"<think>a</think>{answer}", MARKUPS["boxed"]).faults == ()
    assert split(f"<think>a</think>{answer}\\boxed{{", MARKUPS["boxed"]).faults == ("no_box",)


def test_an_unknown_format_names_the_field() -> None:
    with pytest.raises(InputError, match=r"recipe\.thinking: unknown think format 'nativ' \(did you mean 'native'\?\)"):
        markup_named("nativ", "recipe.thinking")
