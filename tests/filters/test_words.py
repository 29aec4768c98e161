"""Words as spans of bytes, and their hashes, against plain ways to find both."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracemill.filters.minhash import shingles
from tracemill.filters.words import Words, words_of

ALONE = "[\u0800-\u1fff\u3000-\u9fff]"
WORD = re.compile(rf"{ALONE}?(?:(?!{ALONE})[^\x00-\x20])+|{ALONE}")
TEXTS = st.lists(
    st.lists(st.sampled_from([" ", "\n", "ab", "数", "ก", "’", "é", "x=1", "a" * 8]) | st.text(max_size=40)).map(
        "".join
    )
)


def spans(words: Words) -> list[bytes]:
    ends = zip(words.starts.tolist(), words.lengths.tolist(), strict=True)
    return [words.data[start : start + length] for start, length in ends]


@given(TEXTS)
def test_words_are_found_text_by_text(texts: list[str]) -> None:
    words = words_of([text.encode() for text in texts])
    expected = [WORD.findall(text) for text in texts]
    assert [span.decode() for span in spans(words)] == [word for found in expected for word in found]
    assert [end - start for start, end in pairwise([0, *words.ends.tolist()])] == list(map(len, expected))


@given(TEXTS)
def test_words_have_equal_hashes_where_they_are_equal(texts: list[str]) -> None:
    words = words_of([text.encode() for text in texts])
    pairs = set(zip(spans(words), words.hashes().tolist(), strict=True))
    assert len(pairs) == len({span for span, _ in pairs}) == len({found for _, found in pairs})


def test_long_words_that_differ_in_one_place_differ() -> None:
    words = [
        bytes(ord("b" if place == at else "a") for place in range(size)) for size in range(80) for at in range(size)
    ]
    assert len(set(words_of(words).hashes().tolist())) == len(words)


def test_runs_of_single_characters_are_told_apart() -> None:
    text = " ".join(f"{a} {b} {c} {d}" for a in "abcdefgh" for b in "+-*/" for c in "01234567" for d in "=<>").encode()
    tokens = text.split()
    runs = {tuple(tokens[start : start + 5]) for start in range(len(tokens) - 4)}
    assert len(set(shingles([text], 5).values.tolist())) == len(runs)
