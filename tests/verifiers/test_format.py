"""The format verifier on text: well-formed completions pass in each format, and any one damage is named."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.markup import FAULTS, MARKUPS, Markup, split
from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.judging import verify_answer

PLAIN = st.text(st.characters(exclude_characters="<>\\|｜{}", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: any(letter.isprintable() and not letter.isspace() for letter in text)
)
MARKUP = st.sampled_from(list(MARKUPS.values()))
Damage = Callable[[str], str]


def _judged(text: str, markup: Markup) -> Verdict:
    return verify_answer("format", text, "", "", {"thinking": markup.name})


def _joined(reasoning: str, answer: str, markup: Markup) -> str:
    return markup.join(reasoning.strip(), answer.strip() + (" \\boxed{5}" if markup.boxed else ""))


def _swapped(first: str, second: str) -> Damage:
    return lambda text: text.replace(first, "\0").replace(second, first).replace("\0", second)


def _replaced(old: str, new: str) -> Damage:
    return lambda text: text.replace(old, new)


def _between(before: str, after: str) -> Damage:
    return lambda text: before + text + after


def _damages(markup: Markup) -> list[tuple[str, Damage]]:
    """Each way to break one rule of the format, and the fault that it is."""
    missing = {"<think>": "no_open_tag", "</think>": "no_close_tag"}
    if markup.answer_tags:
        missing |= {"<answer>": "no_answer_open", "</answer>": "no_answer_close"}
    found: list[tuple[str, Damage]] = []
    for tag, fault in missing.items():
        found += [
            (fault, _replaced(tag, "")),
            ("repeated_tag", _replaced(tag, tag + tag)),
            ("repeated_tag", _between("", tag)),
            ("repeated_tag", _between(tag, "")),
            ("control_token", _replaced(tag, tag.upper())),
            ("control_token", _replaced(tag, tag.replace(">", " >"))),
            ("control_token", _replaced(tag, tag.replace("<", "< "))),
        ]
    found += [
        ("no_think", lambda text: text.replace("<think>", "").replace("</think>", "")),
        ("wrong_order", _swapped("<think>", "</think>")),
        ("text_outside", _between("Sure. ", "")),
        ("empty_reasoning", lambda text: f"<think> \n {text[text.index('</think>') :]}"),
        ("empty_answer", lambda text: f"{text.partition('</think>')[0]}</think>\n"),
        ("control_token", _replaced("</think>", "<|im_end|></think>")),
        ("control_token", _replaced("<think>", "<think><｜end▁of▁sentence｜>")),
    ]
    if markup.answer_tags:
        found += [
            ("wrong_order", _swapped("<answer>", "</answer>")),
            ("wrong_order", lambda text: "".join(text.partition("</think>")[::-1])),
            ("text_outside", _replaced("</think>", "</think> So:")),
            ("text_outside", _between("", " I hope this helps.")),
            ("empty_answer", lambda text: text[: text.index("<answer>")] + "<answer> </answer>"),
        ]
    if markup.boxed:
        found += [
            ("no_box", _replaced("\\boxed", "")),
            ("no_box", _replaced("{5}", "{ }")),
            ("no_box", _replaced("{5}", "{5")),
            ("no_box", _between("", "\\boxed{}")),
        ]
    return found


@given(PLAIN, PLAIN, MARKUP)
def test_a_well_formed_completion_is_correct(reasoning: str, answer: str, markup: Markup) -> None:
    verdict = _judged(_joined(reasoning, answer, markup), markup)
    assert (verdict.outcome, verdict.score, verdict.reason) == (Outcome.CORRECT, 1.0, "well_formed")


@given(PLAIN, PLAIN, MARKUP, st.data())
def test_any_one_damage_is_wrong_and_named(reasoning: str, answer: str, markup: Markup, data: st.DataObject) -> None:
    fault, damage = data.draw(st.sampled_from(_damages(markup)))
    verdict = _judged(damage(_joined(reasoning, answer, markup)), markup)
    assert (verdict.outcome, verdict.score) == (Outcome.WRONG, 0.0)
    assert fault in verdict.reason.split(", ")


@pytest.mark.parametrize("markup", MARKUPS.values(), ids=lambda markup: markup.name)
def test_every_damage_is_wrong_and_named(markup: Markup) -> None:
    good = _joined("We add 2 and 3.", "It is 5.", markup)
    for number, (fault, damage) in enumerate(_damages(markup)):
        verdict = _judged(damage(good), markup)
        assert verdict.outcome is Outcome.WRONG, (number, fault)
        assert fault in verdict.reason.split(", "), (number, verdict.reason)


def test_damages_cover_every_fault_of_the_text() -> None:
    named = {fault for markup in MARKUPS.values() for fault, _ in _damages(markup)}
    assert named == FAULTS.keys() - {"cut_off"}  # the engine says so, not the text


@pytest.mark.parametrize(
    ("thinking", "text"),
    [
        ("boxed", "<think>a</think>The answer is \\boxed{5}, as we saw."),
        ("boxed", "<think>a</think>\\boxed{3} and \\boxed{5}"),
        ("boxed", "<think>so \\boxed{</think>\\boxed{\\frac{1}{2}}"),
        ("native", "<think>a</think>Prose, then <answer>5</answer>, then prose."),
        ("r1", "\n <think>a</think> \n\n <answer>b</answer> \n"),
        ("r1_zero", "<think>a</think><answer>\\boxed{5}</answer>"),
    ],
)
def test_what_is_not_outside(thinking: str, text: str) -> None:
    assert _judged(text, MARKUPS[thinking]).reason == "well_formed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_think, no_answer_open, no_answer_close, empty_answer"),
        ("<think>" * 50_000, "repeated_tag, no_close_tag, no_answer_open, no_answer_close, empty_answer"),
        ("<think>I write </think> here</think><answer>5</answer>", "repeated_tag, text_outside"),
        ("\ufeff<think>a</think><answer>5</answer>", "text_outside"),
        ("<think>\u200b</think><answer>5</answer>", "empty_reasoning"),
        ("<think><answer>5</answer></think>", "wrong_order, empty_answer"),
        ("<thinking>a</thinking><answer>5</answer>", "no_think"),
        ("<|im_start|>assistant\n<think>a</think><answer>5</answer>", "text_outside, control_token"),
    ],
)
def test_hostile_completions_of_r1(text: str, reason: str) -> None:
    assert _judged(text, MARKUPS["r1"]).reason == reason


def test_real_completions_without_think_tags_are_never_well_formed(real_data: Path) -> None:
    """25,200 rows of five models that were asked for <answer> only."""
    seen = Counter[str]()
    with gzip.open(real_data / "labelled" / "reasoning_gym_completions.jsonl.gz", "rt") as lines:
        for number, line in enumerate(lines):
            if number % 25 == 0:
                for completion in json.loads(line)["completions"]:
                    text = completion["text"] or ""
                    parts = split(text, MARKUPS["r1"])
                    assert "no_think" in parts.faults
                    assert ("repeated_tag" in parts.faults) == (
                        text.count("<answer>") > 1 or text.count("</answer>") > 1
                    )
                    seen.update(parts.faults)
    assert seen.keys() >= {"no_think", "repeated_tag", "text_outside", "no_answer_open", "no_answer_close"}
