"""Leaks planted into real chains, what of real chains and solutions is called one, and what a quotation is."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.types import Item
from tracemill.filters.answer_leak import AnswerLeak

MakeItem = Callable[..., Item]
LEAKS = (
    "But the answer key says {n}, so I made a mistake.",
    "Hmm, that does not match the given answer, {n}.",
    "The provided answer is {n}, so the second case is meant.",
    "This agrees with the reference answer.",
    "According to the solution manual, the result is {n}.",
    "The ground truth is {n}.",
    "Since the ground-truth answer is {n}, I should get there.",
    "The supplied solution divides by two here, so I do too.",
    "So how do I arrive at the reference solution?",
    "In the problem the answer is given as {n}.",
)
THOUGHTS = (
    "So the correct answer is {n}.",
    "Maybe the answer key has a typo and means {n}.",
    "If the given answer were {n}, that would be odd.",
    "I don't have access to the answer key, so let me check again.",
    "I think the expected answer is {n}.",
    "The given answer choices do not include {n}.",
    "The intended solution is probably {n}.",
    "Without a reference solution I cannot be sure.",
    "The given solution space has {n} points.",
    "I recall that the known answer to this riddle is {n}.",
)
ASSERTS = [
    "assert add_all([10, 20, 30, 40], 4) == 104",
    "assert add_all([7, 7, 7, 7, 7], 0) == 35",
    "assert add_all([], 1) == 1",
]
SOLUTION = (
    "Janet's ducks lay sixteen eggs per day, and she eats three of them for breakfast every morning. That leaves thirteen "
    "eggs, of which four go into muffins for her friends, so that nine are left for the market."
)


def rows(path: Path) -> list[Any]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def chains(real_data: Path) -> list[tuple[str, str, str]]:
    """Prompt, reasoning and answer of each."""
    found = rows(real_data / "traces" / "long_reasoning.jsonl.gz")
    return [(row["prompt"], row["reasoning"], row["answer"]) for row in found]


def reason(item: Item, **options: bool) -> str | None:
    drop = AnswerLeak(**options).check(item.trace, item.prompt)
    return drop.reason if drop else None


def planted(chain: str, sentence: str, dice: random.Random) -> str:
    paragraphs = chain.split("\n\n")
    paragraphs.insert(dice.randrange(len(paragraphs) + 1), sentence.format(n=dice.randrange(1000, 9999)))
    return "\n\n".join(paragraphs)


def with_reference(item: Item, reference: str, verifier: str) -> Item:
    return Item(replace(item.prompt, reference=reference, verifier=verifier), item.trace)


def test_no_real_chain_is_dropped(chains: list[tuple[str, str, str]], make_item: MakeItem) -> None:
    items = [make_item(reasoning, answer, prompt) for prompt, reasoning, answer in chains]
    assert len(items) == 627
    assert [found for one in items if (found := reason(one))] == []


def test_planted_leaks_are_found_and_thoughts_are_not(chains: list[tuple[str, str, str]], make_item: MakeItem) -> None:
    dice = random.Random(1)
    found = dict.fromkeys((LEAKS, THOUGHTS), 0)
    for number, (prompt, reasoning, answer) in enumerate(chains):
        for kind in found:
            item = make_item(planted(reasoning, kind[number % len(kind)], dice), answer, prompt)
            found[kind] += reason(item) == "mentions_answer_key"
    assert found[LEAKS] >= 0.98 * len(chains)
    assert found[THOUGHTS] == 0


def test_of_correct_solutions_hardly_any_is_dropped(real_data: Path, make_item: MakeItem) -> None:
    """Two speak of a provided answer that there is not."""
    solutions = rows(real_data / "labelled" / "math_l5_outputs.jsonl.gz")
    right = [row for row in solutions if str(row["answer"]).strip() == str(row["gold"]).strip()]
    found = [row["model"] for row in right if reason(make_item(row["output"], prompt=row["problem"]))]
    assert len(right) == 2708
    assert found == ["Yi-1.5-9B-Chat"] * 2


@pytest.mark.parametrize("sentence", ["the answer key says 13", "The Answer Key says 13", "the ANSWER KEY says 13"])
def test_capitals_do_not_hide_a_key(sentence: str, make_item: MakeItem) -> None:
    assert reason(make_item(f"But {sentence}.")) == ("mentions_answer_key" if "KEY" not in sentence else None)


def test_a_given_answer_is_somebody_elses_only_in_the_reasoning(make_item: MakeItem) -> None:
    said = "The provided solution satisfies all constraints."
    assert reason(make_item(said)) == "mentions_answer_key"
    assert reason(make_item("So 42.", said)) is None
    assert reason(make_item("So 42.", "The reference solution satisfies all constraints.")) == "mentions_answer_key"


def test_the_detail_shows_the_place(make_item: MakeItem) -> None:
    item = make_item("Six times seven\nis 42. The answer key says so, too.")
    drop = AnswerLeak().check(item.trace, item.prompt)
    assert drop is not None
    assert drop.detail == "at character 23: 'Six times seven is 42. The answer key says so, too.'"


@pytest.mark.parametrize("verifier", ["math", "judge"])
def test_a_long_reference_is_quoted_whatever_its_space_and_case(verifier: str, make_item: MakeItem) -> None:
    quoted = "I write: " + SOLUTION.upper().replace(" ", "\n ")
    assert reason(with_reference(make_item(quoted), SOLUTION, verifier)) == "quotes_reference"
    assert reason(with_reference(make_item("", quoted), SOLUTION, verifier)) == "quotes_reference"
    assert reason(with_reference(make_item(quoted), SOLUTION, verifier), quote=True) is None
    assert reason(with_reference(make_item(quoted, prompt=f"Check this: {SOLUTION}"), SOLUTION, verifier)) is None
    assert reason(with_reference(make_item(quoted.replace("THREE", "TWO")), SOLUTION, verifier)) is None


def test_what_is_no_long_prose_is_derived_not_quoted(make_item: MakeItem) -> None:
    grid = "7 7 3 8 2 1 " * 6
    assert reason(with_reference(make_item(f"So it is {grid}"), grid, "math")) is None
    assert reason(with_reference(make_item("So it is forty-two."), "forty-two", "math")) is None
    for verifier in ("exact", "reasoning_gym"):
        assert reason(with_reference(make_item(f"Deciphered: {SOLUTION}"), SOLUTION, verifier)) is None


def test_a_chinese_reference_is_quoted(make_item: MakeItem) -> None:
    reference = "首先计算鸭子每天下的蛋一共有十六个,然后减去早餐吃掉的三个和做松饼用的四个,剩下的九个都拿到市场上卖掉。"
    assert reason(with_reference(make_item(f"所以{reference}"), reference, "math")) == "quotes_reference"
    assert reason(with_reference(make_item("所以剩下的九个都拿到市场上卖掉。"), reference, "math")) is None


@pytest.mark.parametrize(
    "reference",
    [
        json.dumps(ASSERTS),
        json.dumps({"kind": "asserts", "asserts": ASSERTS}),
        "def check(candidate):\n    " + "\n    ".join(ASSERTS).replace("add_all", "candidate"),
        json.dumps([f"{one}, 'message'" for one in ASSERTS]),
    ],
)
def test_hidden_asserts_are_quoted(reference: str, make_item: MakeItem) -> None:
    def found(chain: str, prompt: str = "Add them all.") -> str | None:
        return reason(with_reference(make_item(chain, prompt=prompt), reference, "code"))

    quoted = "It has to hold that " + " and ".join(ASSERTS).replace("assert ", "").replace(", ", ",")
    assert found(quoted) == "quotes_reference"
    assert found(quoted, prompt=f"Add them all. {ASSERTS[0]}") is None
    assert found(quoted, prompt="Add them all.\n>>> add_all([10, 20, 30, 40], 4)\n104") is None
    assert found(f"I try {ASSERTS[1]}.") is None
    assert found("I try add_all([1, 2, 3], 4) == 10 and add_all([1], 0) == 1 and add_all([], 0) == 0") is None


@pytest.mark.parametrize(
    "reference",
    [
        {
            "kind": "stdio",
            "cases": [
                {"input": "5 3\n10 20 30 40 50\n11 21 31 41 51\n6000 7000 8000 9000 10000 11000\n", "output": "7\n"}
            ],
        },
        {"inputs": ["5 3\n10 20 30 40 50\n11 21 31 41 51\n6000 7000 8000 9000 10000 11000\n"], "outputs": ["7\n"]},
        [
            {
                "input": "5 3\n10 20 30 40 50\n11 21 31 41 51\n6000 7000 8000 9000 10000 11000\n",
                "output": "7\n",
                "testtype": "stdin",
            }
        ],
    ],
)
def test_hidden_inputs_are_quoted(reference: object, make_item: MakeItem) -> None:
    chain = "Take the input\n5 3\n10 20 30 40 50\n11 21 31 41 51\n6000 7000 8000 9000 10000 11000\nfor example."
    assert reason(with_reference(make_item(chain), json.dumps(reference), "code")) == "quotes_reference"
    assert reason(with_reference(make_item(chain, prompt=chain), json.dumps(reference), "code")) is None


def test_arguments_of_calls_are_quoted(make_item: MakeItem) -> None:
    cases = [{"args": [[12, 71, 113, 154, 1999], 1234, "a long enough text"], "expected": [0, 1]}]
    reference = json.dumps({"kind": "calls", "entry_point": "f", "cases": cases})
    chain = "For f([12, 71, 113, 154, 1999], 1234, 'a long enough text') it is [0, 1]."
    assert reason(with_reference(make_item(chain), reference, "code")) == "quotes_reference"


@pytest.mark.parametrize("reference", ["", "{", "[1, 2]", "3", "null", '{"asserts": 3, "cases": [1, {"input": {}}]}'])
def test_what_is_no_test_set_is_not_quoted(reference: str, make_item: MakeItem) -> None:
    assert (
        reason(with_reference(make_item("A chain that has more than forty characters in it."), reference, "code"))
        is None
    )
