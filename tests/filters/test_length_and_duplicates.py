"""Counting words in any script; telling the same text from another."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.types import Item
from tracemill.filters.exact_duplicates import ExactDuplicates, fold
from tracemill.filters.length import _UNSPACED, Length, count_words

MakeItem = Callable[..., Item]
WORDS = [45, 223, 2632, 9138, 19379, 23092]
"""Of the chains in traces/long_reasoning: the least, 1, 50, 90 and 99 %, and the most."""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0), ("one two, three!", 3), ("6 * 7 = 42", 3), ("六乘以七等于四十二", 5), ("คำตอบคือสี่", 6), ("六 is 6", 3),
        ("a—b → c", 3), ("x² ≤ y₁", 2), ("naïve café", 2), ("nai\u0308ve cafe\u0301", 2), ("हिन्दी की किताब", 3), ("مُحَمَّد يقرأ", 2),
        ("Größe 12", 2), ("большой дом", 2), ("a_b", 1), ("✔️ ok", 1), ("\ud800 lone", 1), ("文a文a文", 4), ("\0a\0b\0", 2),
    ],
)  # fmt: skip
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


@given(st.text(st.characters(exclude_categories=["Mn", "Mc", "Me"])))
def test_words_are_runs_of_word_characters(text: str) -> None:
    """The definition, without marks, of which patterns know nothing."""
    unspaced = len(_UNSPACED.findall(text))
    assert count_words(text) == len(re.findall(r"\w+", _UNSPACED.sub(" ", text))) + (unspaced + 1) // 2


@given(text=st.text(st.sampled_from("a 文é,")), least=st.integers(0, 20), more=st.integers(0, 20))
def test_no_text_is_dropped_without_counting_it(text: str, least: int, more: int, make_item: MakeItem) -> None:
    """Most texts are not counted whole."""
    item = make_item(text * 9)
    words = count_words(item.trace.reasoning)
    drop = Length(min_words=least, max_words=least + more).check(item.trace, item.prompt)
    assert (drop and drop.reason) == ("too_short" if words < least else "too_long" if words > least + more else None)
    if drop:
        assert drop.detail.startswith(f"{words} words ")


def test_limits_are_inclusive_and_may_be_off(make_item: MakeItem) -> None:
    item = make_item("one two three", tokens=10)

    def reason(plugin: Length) -> str | None:
        drop = plugin.check(item.trace, item.prompt)
        return f"{drop.reason}: {drop.detail}" if drop else None

    assert reason(Length(min_words=3, max_words=3, max_completion_tokens=10)) is None
    assert reason(Length(min_words=4)) == "too_short: 3 words < 4"
    assert reason(Length(min_words=None, max_words=2)) == "too_long: 3 words > 2"
    assert reason(Length(min_words=None, max_words=None, max_completion_tokens=9)) == "too_long: 10 tokens > 9"
    assert reason(Length(min_words=None, max_words=None)) is None


def test_a_domain_has_its_own_limits(make_item: MakeItem) -> None:
    item = make_item("one two three", tokens=10)
    plugin = plugins.get(
        "filters",
        "length",
        {
            "max_words": 9,
            "domains": {"test": {"min_words": 4}, "code": {"max_words": None, "max_completion_tokens": 9}},
        },
    )

    def reason(domain: str, words: int) -> str | None:
        trace = replace(item.trace, reasoning="word " * words)
        drop = plugin.check(trace, replace(item.prompt, domain=domain))
        return f"{drop.reason}: {drop.detail}" if drop else None

    assert reason("test", 3) == "too_short: 3 words < 4"
    assert reason("test", 4) is None
    assert reason("test", 10) == "too_long: 10 words > 9"
    assert reason("math", 4) == "too_short: 4 words < 5"
    assert reason("code", 4) == "too_short: 4 words < 5"
    assert reason("code", 10) == "too_long: 10 tokens > 9"
    assert plugin == pickle.loads(pickle.dumps(plugin))
    assert hash(plugin) == hash(pickle.loads(pickle.dumps(plugin)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"domains": {"code": {"max_word": 3}}},
            r"domains\.code\.max_word: no such limit \(did you mean 'max_words'\?\)",
        ),
        ({"domains": {"code": {"max_words": "many"}}}, r"domains\.code\.max_words: .*valid integer.*, got 'many'"),
        ({"domains": {"code": 5}}, r"domains\.code: must be a mapping, \{key: value\}, got 5"),
        ({"domains": ["code"]}, r"domains: must be a mapping, \{key: value\}, got \['code'\]"),
        ({"domains": {"code": {"max_words": -1}}}, r"domains\.code\.max_words: must not be negative, got -1"),
        (
            {"domains": {"code": {"max_words": 4}}},
            r"domains\.code\.max_words: no length is at least 5 and at most 4 words",
        ),
        (
            {"domains": {"code": {"min_words": 40_000}}},
            r"domains\.code\.min_words: no length is at least 40000 and at most",
        ),
        ({"max_words": 4}, r"max_words: no length is at least 5 and at most 4 words"),
        ({"max_completion_tokens": -1}, r"max_completion_tokens: must not be negative, got -1"),
    ],
)
def test_nonsense_is_refused_by_its_field(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=rf"^filters\[0\]\.{message}"):
        plugins.get("filters", "length", options, "filters[0]")


def test_no_real_chain_is_dropped(real_data: Path, make_item: MakeItem) -> None:
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        items = [make_item(json.loads(line)["reasoning"]) for line in lines]
    words = sorted(count_words(item.trace.reasoning) for item in items)
    assert [words[round(share * 626)] for share in (0, 0.01, 0.5, 0.9, 0.99, 1)] == WORDS
    assert [drop for item in items if (drop := Length().check(item.trace, item.prompt))] == []


def test_a_duplicate_names_the_first_of_its_kind(make_item: MakeItem) -> None:
    items = [
        make_item("a b", number=0),
        make_item("c", number=1),
        make_item("A  B", number=2),
        make_item("a b", number=3),
    ]
    drops = list(ExactDuplicates().sift(items))
    assert [(drop.trace_id, drop.reason, drop.detail) for drop in drops] == [
        ("t2", "duplicate", "t0"),
        ("t3", "duplicate", "t0"),
    ]


def test_the_same_trace_twice_is_not_its_own_duplicate(make_item: MakeItem) -> None:
    assert list(ExactDuplicates().sift([make_item("a"), make_item("a")])) == []


@given(st.text())
def test_folding_ignores_form_case_and_space_only(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
    assert fold(f"  {text}\n") == fold(text)
    assert fold(text + " 1") != fold(text + " 2")
