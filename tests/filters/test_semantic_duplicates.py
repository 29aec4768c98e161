"""Chains and prompts in other words: who is kept, and what is never merged."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from tracemill.core.errors import InputError, SetupError
from tracemill.core.types import Item, Prompt
from tracemill.filters import leaders, semantic_duplicates
from tracemill.filters.duplicate_prompts import DuplicatePrompts
from tracemill.filters.embedding import embedder, model
from tracemill.filters.leaders import kept_for, quantised
from tracemill.filters.quantities import computed
from tracemill.filters.semantic_duplicates import SemanticDuplicates, semantic_duplicate_prompts

MakeItem = Callable[..., Item]
REWORDING = {
    "Therefore": "It follows that", "we need to": "one has to", "First": "To begin with", "find": "determine",
    "Next": "After this", "gives": "yields", "So": "Thus", "the": "this", "is": "becomes", "have": "get",
}  # fmt: skip


def reworded(text: str) -> str:
    return re.sub(rf"\b(?:{'|'.join(REWORDING)})\b", lambda match: REWORDING[match[0]], text)


def renumbered(text: str) -> str:
    return re.sub(r"\d+", lambda match: str(int(match[0]) + 7), text)


@pytest.fixture(scope="module")
def solutions(real_data: Path) -> dict[str, list[str]]:
    """By problem, the outputs of which the answer is the reference."""
    found: dict[str, list[str]] = defaultdict(list)
    with gzip.open(real_data / "labelled" / "math_l5_outputs.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            if row["answer"] == row["gold"]:
                found[row["prompt_id"]].append(row["output"])
    return found


def test_real_solutions_reworded_are_found_and_renumbered_ones_are_not(
    make_item: MakeItem, solutions: dict[str, list[str]]
) -> None:
    texts = [texts[0] for texts in solutions.values() if len(set(computed(texts[0]))) >= 5][:100]
    pairs = [(text, reworded(text)) for text in texts]
    items = [make_item(text, prompt=f"p{n // 2}", number=n) for n, text in enumerate(sum(pairs, ()))]
    dropped = [drop.trace_id for drop in SemanticDuplicates().sift(items)]
    assert len(dropped) >= 98
    assert {int(name[1:]) % 2 for name in dropped} == {1}
    pairs = [(text, renumbered(reworded(text))) for text in texts]
    items = [make_item(text, prompt=f"p{n // 2}", number=n) for n, text in enumerate(sum(pairs, ()))]
    assert not list(SemanticDuplicates().sift(items))


def test_every_drop_is_near_to_a_kept_trace_of_its_prompt(make_item: MakeItem, solutions: dict[str, list[str]]) -> None:
    texts = [(name, text) for name, some in solutions.items() for text in some][:600]
    items = [make_item(text, prompt=name, number=number) for number, (name, text) in enumerate(texts)]
    drops = list(SemanticDuplicates().sift(iter(items)))
    dropped = {drop.trace_id for drop in drops}
    assert 20 < len(drops) < 120
    for drop in drops:
        keeper, _, similarity = drop.detail.partition(": similarity ")
        own, other = int(drop.trace_id[1:]), int(keeper[1:])
        assert keeper not in dropped
        assert other < own
        assert texts[own][0] == texts[other][0]
        both = [f"{texts[number][1]}\n42" for number in (own, other)]
        vectors = embedder(64).embed(both, 4, 64)
        cosine = float(vectors[0] @ vectors[1]) / 4
        assert cosine == pytest.approx(float(similarity), abs=0.015)
        assert cosine >= 0.79
        assert Indel.normalized_similarity(*map(computed, both)) >= 0.85
    assert [int(drop.trace_id[1:]) for drop in drops] == sorted(int(drop.trace_id[1:]) for drop in drops)


@pytest.mark.parametrize("keep", ["first", "shortest", "longest"])
def test_the_kept_one_is_the_first_by_the_stated_order(make_item: MakeItem, keep: Any) -> None:
    chain = "Take 12 and 30 to get 42, then 42 times 5 is 210, and 210 less 17 leaves 193 in the end."
    texts = [f"{chain} That is it.", f"{chain} That is all of it, as it seems.", chain]
    drops = list(SemanticDuplicates(keep=keep).sift([make_item(text, number=n) for n, text in enumerate(texts)]))
    kept = {"first": "t0", "shortest": "t2", "longest": "t1"}[keep]
    assert {drop.detail.partition(":")[0] for drop in drops} == {kept}
    assert len(drops) == 2


def test_without_numbers_the_embedding_decides_if_asked(make_item: MakeItem) -> None:
    texts = [
        "The trolley stands still, so nobody is harmed by waiting.",
        "Nobody is harmed by waiting, so the trolley stands still.",
    ]
    items = [make_item(text, number=number) for number, text in enumerate(texts)]
    assert not list(SemanticDuplicates().sift(items))
    assert [drop.trace_id for drop in SemanticDuplicates(threshold=0.95, numbers=0).sift(items)] == ["t1"]


def test_nothing_and_nothing_to_compare_are_no_drops(make_item: MakeItem) -> None:
    assert not list(SemanticDuplicates().sift([]))
    assert not list(SemanticDuplicates(numbers=0).sift([make_item("", "", number=number) for number in range(3)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.3}, "threshold: 0.3 is not between 0.5 and 1"),
        ({"numbers": 2}, "numbers: 2 is not between 0 and 1"),
    ],
)
def test_a_bad_option_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        SemanticDuplicates(**options)
    assert str(error.value) == message


def test_a_missing_extra_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch, make_item: MakeItem) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    model.cache_clear()
    embedder.cache_clear()
    with pytest.raises(SetupError, match=r"run pip install 'tracemill\[semantic\]'"):
        list(SemanticDuplicates().sift([make_item("a chain")]))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=30),
    st.sampled_from([0.8, 0.95, 1.0]),
    st.integers(1, 8),
)
def test_leaders_are_those_of_a_plain_loop(rows: list[tuple[int, int, int]], least: float, block: int) -> None:
    vectors = quantised(np.array([*rows, (1, 1, 1)], np.float32) / np.float32(6))
    count = len(vectors)
    exact = vectors.astype(np.float64)
    exact /= np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-9)
    cosines = (exact @ exact.T).round(5)
    turns = np.arange(count)[::-1].copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaders, "_BLOCK", block)
        patch.setattr(leaders, "_SLICE", 3)
        found = kept_for(vectors, turns, least - 1e-4, lambda row, kept: (row + kept) % 5 != 0)
    kept: list[int] = []
    for row in turns.tolist():
        near = [one for one in kept if cosines[row, one] >= least - 1e-4 and (row + one) % 5]
        if near:
            assert found[row][1] == pytest.approx(max(cosines[row, one] for one in near), abs=1e-4)
            assert found[row][0] in near
        else:
            assert row not in found
            kept.append(row)


def test_a_row_holds_and_is_asked_of_the_nearest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "_BLOCK", 8)
    monkeypatch.setattr(leaders, "_SLICE", 32)
    angles = np.linspace(0, 0.8, 100)
    vectors = quantised(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    turns = np.concatenate([np.random.default_rng(3).permutation(99), [99]])
    asked: dict[int, list[int]] = {}

    def confirms(row: int, kept: int) -> bool:
        asked.setdefault(row, []).append(kept)
        return False

    held: list[int] = []
    nearest = leaders._nearest

    def measured(pairs: list[tuple[float, int]]) -> list[tuple[float, int]]:
        held.append(len(pairs))
        return nearest(pairs)

    monkeypatch.setattr(leaders, "_nearest", measured)
    assert kept_for(vectors, turns, 0.5, confirms) == {}
    assert max(held) <= 16 + 16
    assert max(map(len, asked.values())) == 16
    assert set(asked[99]) <= set(range(80, 99)), "99 is the last of the row"
    assert len(asked[99]) == 16


def test_with_scope_all_prompts_that_nothing_tells_apart_are_not_compared(make_item: MakeItem) -> None:
    chain = "Take 12 and 30 to get 42, then 42 times 5 is 210, and 210 less 17 leaves 193 in the end."

    def dropped(*problems: tuple[str, str]) -> list[str]:
        items = [make_item(chain, prompt=text, number=number) for number, (text, _) in enumerate(problems)]
        items = [
            replace(item, prompt=replace(item.prompt, reference=reference))
            for item, (_, reference) in zip(items, problems, strict=True)
        ]
        return [drop.trace_id for drop in SemanticDuplicates(scope="all").sift(items)]

    assert dropped(("Who is it?", ""), ("Where is it?", ""), ("Who is it?", "")) == ["t2"]
    assert dropped(("Who is it?", "Ann"), ("Where is it?", "Ann")) == ["t1"]
    assert dropped(("Are 12 in it?", ""), ("Is it 12?", "")) == ["t1"]


def prompt(name: str, text: str, reference: str = "36") -> Prompt:
    return Prompt(name, text, "math", "math", reference, "test")


HENS = "A farmer has 48 hens and sells a quarter of them on Monday and 20 of them on Friday. How many hens are left?"
ASKED = "On Monday a quarter of the farmer's 48 hens is sold, and on Friday twenty hens. How many hens has he left?"


def test_prompts_in_other_words_are_found() -> None:
    found = semantic_duplicate_prompts([prompt("a", HENS), prompt("b", ASKED), prompt("c", "What is 6 times 6?")])
    assert [(one.id, one.keeper) for one in found] == [("b", "a")]
    assert 0.75 <= found[0].similarity <= 1
    assert semantic_duplicate_prompts([prompt("a", HENS), prompt("b", ASKED)], 0.99) == []
    longest = semantic_duplicate_prompts([prompt("b", ASKED), prompt("a", HENS)], keep="longest")
    assert [one.keeper for one in longest] == [max(("a", HENS), ("b", ASKED), key=lambda pair: len(pair[1]))[0]]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (ASKED, "16"),
        (ASKED.replace("twenty", "12"), "36"),
        (ASKED.replace("48", "84"), "36"),
        (f"{ASKED} He had 48.", "36"),
    ],
)
def test_prompts_with_other_numbers_or_references_are_not_merged(text: str, reference: str) -> None:
    assert semantic_duplicate_prompts([prompt("a", HENS), prompt("b", text, reference)]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is the sea salt?", "Is the salt sea?"),
        (r"Let $t = \frac{1}{AC} + \frac{1}{BC}$. Find $t$.", r"Let $t = \frac{1}{AC^2} + \frac{1}{BC^2}$. Find $t$."),
        ("Find $3x + 5 - y$ at 2.", "Find $y^3 = 5/x!$ at 2."),
    ],
)
def test_prompts_without_numbers_or_with_other_formulas_are_not_merged(one: str, other: str) -> None:
    assert semantic_duplicate_prompts([prompt("a", one), prompt("b", other)], 0.5) == []


def test_a_prompt_near_to_one_that_fell_names_the_one_that_is_kept() -> None:
    near = ASKED.replace("has he left", "has he left now")
    found = DuplicatePrompts(semantic=0.7).repeated([prompt("c", HENS), prompt("b", ASKED), prompt("a", near)])
    assert set(found) == {"a", "b"}
    names = {"a": "4", "b": "5", "c": "6"}
    reworded, nearly = found["b"].described(names), found["a"].described(names)
    assert re.fullmatch(r"6: cosine 0\.\d{3}", reworded)
    assert re.fullmatch(rf"6: jaccard 0\.\d{{3}} with 5, which has {reworded.partition(': ')[2]}", nearly)
    alone = DuplicatePrompts().repeated([prompt("c", HENS), prompt("b", ASKED), prompt("a", near)])
    assert {name: one.keeper for name, one in alone.items()} == {"a": "b"}


def test_real_prompts_merge_with_few_others(real_data: Path) -> None:
    with gzip.open(real_data / "prompts" / "math_train.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    found = semantic_duplicate_prompts([prompt(row["id"], row["problem"], row["answer"]) for row in rows])
    texts = {row["id"]: row["problem"] for row in rows}
    assert 5 <= len(found) <= 30  # read: all of them ask the same
    for one in found:
        own, other = (sorted(re.findall(r"\d+", texts[name])) for name in (one.id, one.keeper))
        assert len(own) <= len(other) + 2  # 3-digit is three-digit
    assert semantic_duplicates.semantic_duplicate_prompts([]) == []
