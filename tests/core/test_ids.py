"""Ids are the hash of what they name."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tracemill.core import ids


@given(st.lists(st.text() | st.integers()), st.lists(st.text() | st.integers()))
def test_ids_differ_where_the_parts_differ(first: list[str | int], second: list[str | int]) -> None:
    same = list(map(str, first)) == list(map(str, second))
    assert (ids.content_id(*first) == ids.content_id(*second)) is same


def test_an_id_is_32_hex_characters_and_never_changes() -> None:
    assert ids.content_id("prompt", 1) == ids.content_id("prompt", "1")
    assert len(ids.content_id()) == 32
    assert ids.content_id("ab", "c") != ids.content_id("a", "bc")
    assert ids.content_id("\ud800") != ids.content_id("\udfff")
    assert ids.prompt_id("a", "math", "1") == "740b3acc6ca36bb2e1aa6c048b8724db"  # stored in every corpus


def test_a_trace_id_knows_job_prompt_and_sample() -> None:
    known = {ids.trace_id(job, prompt, sample) for job in "ab" for prompt in "cd" for sample in range(3)}
    assert len(known) == 12


@given(st.integers(0), st.text(), st.integers(0, 1000))
def test_a_seed_fits_a_signed_64_bit_integer(seed: int, prompt: str, sample: int) -> None:
    value = ids.sample_seed(seed, prompt, sample)
    assert 0 <= value < 2**63
    assert value == ids.sample_seed(seed, prompt, sample)
    assert value != ids.sample_seed(seed, prompt, sample + 1)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_canonical_json_does_not_depend_on_order(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert ids.canonical_json(value) == ids.canonical_json(turned)
    assert json.loads(ids.canonical_json(value)) == value
