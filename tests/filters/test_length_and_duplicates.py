"""Counting words in any script; telling the same text from another."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.types import Item
from tracemill.filters.exact_duplicates import ExactDuplicates, fold
from tracemill.filters.length import Length, count_words

MakeItem = Callable[..., Item]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 0), ("one two, three!", 3), ("6 * 7 = 42", 3), ("六乘以七等于四十二", 5), ("คำตอบคือสี่", 6), ("六 is 6", 3)],
)
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


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
