"""Among one prompt's traces the most different ones are kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.errors import InputError
from tracemill.core.types import Item
from tracemill.filters.diverse import Diverse

MakeItem = Callable[..., Item]


@given(st.lists(st.text("abc ", max_size=40), max_size=12), st.integers(1, 5))
def test_as_many_as_asked_for_are_kept_of_each_prompt(make_item: MakeItem, texts: list[str], keep: int) -> None:
    items = [make_item(text, prompt=f"p{n % 2}", number=n) for n, text in enumerate(texts)]
    dropped = [drop.trace_id for drop in Diverse(keep).sift(items)]
    for prompt in ("p0", "p1"):
        ids = [item.trace.id for item in items if item.prompt.id == prompt]
        assert len(set(ids) - set(dropped)) == min(keep, len(ids))
        assert not ids or ids[0] not in dropped
    assert dropped == [item.trace.id for item in items if item.trace.id in dropped]


def test_of_real_samples_and_their_edits_the_edits_go(make_item: MakeItem, real_data: Path) -> None:
    with gzip.open(real_data / "labelled" / "math_l5_outputs.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    samples = [row["output"] for row in rows if row["problem"] == rows[0]["problem"]][:4]
    assert len(set(samples)) == 4
    texts = [text for sample in samples for text in (sample, sample.replace("the", "this", 3))]
    drops = list(Diverse(4).sift([make_item(text, number=number) for number, text in enumerate(texts)]))
    assert len(drops) == 4
    for drop in drops:
        near, _, similarity = drop.detail.partition(": similarity ")
        assert int(drop.trace_id[1:]) // 2 == int(near[1:]) // 2  # what it was made from, or the other way round
        assert float(similarity) > 0.8


def test_none_kept_is_refused() -> None:
    with pytest.raises(InputError, match="keep: must be at least 1, got 0"):
        Diverse(0)
