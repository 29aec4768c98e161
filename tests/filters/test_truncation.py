"""Real traces that were cut off, chains and solutions that are cut here, and what of whole ones is called cut."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.types import Drop, Item
from tracemill.filters.truncation import Truncation, broken_end

MakeItem = Callable[..., Item]
PROSE = "First I add the eggs of the first day to those of the second, and then take away the eaten ones.\n" * 6


def rows(path: Path) -> list[Any]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def traces(real_data: Path) -> list[tuple[str, str]]:
    """Reasoning and answer of each."""
    return [(row["reasoning"], row["answer"]) for row in rows(real_data / "traces" / "long_reasoning.jsonl.gz")]


@pytest.fixture(scope="module")
def solutions(real_data: Path) -> list[str]:
    """Correct ones."""
    found = rows(real_data / "labelled" / "math_l5_outputs.jsonl.gz")
    return [row["output"] for row in found if str(row["answer"]).strip() == str(row["gold"]).strip()]


def drop(item: Item, **changes: Any) -> Drop | None:
    return Truncation().check(replace(item.trace, **changes), item.prompt)


def share_found(texts: list[str], check: Callable[[str], object]) -> float:
    """Of texts cut at a random place in their last four fifths."""
    dice = random.Random(7)
    cuts = [text[: dice.randrange(len(text) // 5, len(text) - 1)] for text in map(str.rstrip, texts) if len(text) > 200]
    return sum(check(one) is not None for one in cuts) / len(cuts)


def test_real_traces_that_were_cut_off_are_found(traces: list[tuple[str, str]], make_item: MakeItem) -> None:
    cut = [drop(make_item(reasoning, answer)) for reasoning, answer in traces if not answer.strip()]
    assert len(cut) == 58
    assert sum(one is not None and one.reason == "cut_off" for one in cut) == 53


def test_of_real_traces_with_an_answer_few_are_dropped(traces: list[tuple[str, str]], make_item: MakeItem) -> None:
    found = [drop(make_item(reasoning, answer)) for reasoning, answer in traces if answer.strip()]
    details = [one.detail for one in found if one]
    assert len(details) == 10
    assert sum(detail.startswith("the answer ") for detail in details) == 7


def test_no_correct_solution_is_dropped(solutions: list[str], make_item: MakeItem) -> None:
    assert len(solutions) == 2708
    assert [one for text in solutions if (one := drop(make_item("", text)))] == []
    assert [one for text in solutions if (one := drop(make_item(text, "42")))] == []


def test_what_is_cut_at_a_random_place_is_found(
    traces: list[tuple[str, str]], solutions: list[str], make_item: MakeItem
) -> None:
    whole = [(reasoning, answer) for reasoning, answer in traces if answer.strip()]
    assert share_found([reasoning for reasoning, _ in whole], lambda text: drop(make_item(text, ""))) > 0.93
    assert share_found([answer for _, answer in whole], lambda text: drop(make_item("", text))) > 0.55
    assert share_found(solutions, lambda text: drop(make_item("", text))) > 0.88


def test_the_engine_knows_best(make_item: MakeItem) -> None:
    found = drop(make_item(PROSE, "42", tokens=512), finish_reason="length")
    assert found is not None
    assert (found.reason, found.detail) == ("token_limit", "after 512 tokens")
    item = make_item(PROSE, "42")
    assert Truncation(token_limit=True).check(replace(item.trace, finish_reason="length"), item.prompt) is None


def test_thinking_that_never_ends(make_item: MakeItem) -> None:
    found = drop(make_item(PROSE, ""), faults=("no_close_tag", "empty_answer"))
    assert found is not None
    assert (found.reason, found.detail) == ("cut_off", "the thinking never ends")
    assert drop(make_item(PROSE, "42"), faults=("no_close_tag",)) is None
    assert drop(make_item(PROSE, "")) is None


def test_reasoning_closed_on_purpose_is_left_alone(make_item: MakeItem) -> None:
    item = make_item(f"{PROSE}And then I see that the", "42")
    assert drop(item) is not None
    assert drop(item, interventions=("closed",)) is None
    assert drop(item, interventions=("closed",), answer=f"{PROSE}It is the") is not None


def test_the_detail_shows_the_end(make_item: MakeItem) -> None:
    found = drop(make_item(f"{PROSE}And then I see that the", "42"))
    assert found is not None
    ending = "f the second, and then take away the eaten ones.\nAnd then I see that the"[-60:]
    assert found.detail == f"the reasoning ends where more must follow: {ending!r}"


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (r"so \[x = 2", "ends in an open formula"),
        (r"so \(x = 2", "ends in an open formula"),
        (r"\begin{align} x &= 2 \\", "ends in an open formula"),
        (r"it is $\frac{1}{2}", "ends in an open formula"),
        (r"\boxed{\frac{1}{2}", "ends in an open formula"),
        ("```python\nprint(42)", "ends in open code"),
        ("x =", "ends where more must follow"),
        ("one, two,", "ends where more must follow"),
        ("**Step 3", "ends where more must follow"),
        ('It says "the first', "ends where more must follow"),
        ("## Step 3", "ends where more must follow"),
        ("Therefore", "ends where more must follow"),
        ("I take away the eat", "ends in mid-sentence"),
        (r"so \[x = 2\]", None),
        (r"so \(x = 2\)", None),
        (r"\begin{align} x &= 2 \\[2pt] y &= 3 \end{align}", None),
        (r"it is $\frac{1}{2}$", None),
        (r"\boxed{\frac{1}{2}}", None),
        ("```python\nprint(42)\n```", None),
        ('{"answer": "$12abc^2"}', None),
        ("It costs $5", None),
        ("**Answer:** 42", None),
        ("The answer is the blue whale", None),
        ("| a | b |", None),
        ("x = 2a", None),
        ("∎", None),
        ("Done 🎉", None),
    ],
)
def test_how_a_text_ends(end: str, how: str | None) -> None:
    assert broken_end(PROSE + end) == how


@given(st.text(), st.booleans())
def test_any_text_has_an_end(text: str, followed: bool) -> None:
    how = broken_end(text, followed)
    assert how is None or how.startswith("ends ")
    assert how == broken_end(text + " \n", followed)
    assert broken_end(text + ".", followed) in (None, "ends in open code")
