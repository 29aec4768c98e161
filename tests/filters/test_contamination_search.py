"""The search for n-grams: against a plain Python reference, and what it must not mix up."""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from tracemill.filters.contamination.benchmarks import Part, parts_of
from tracemill.filters.contamination.folding import composed, fold
from tracemill.filters.contamination.index import Hit, Index
from tracemill.filters.contamination.ngrams import word_hashes, words_of
from tracemill.filters.contamination.similar import Similar

NS = (8, 10, 13)
BAKER = "A baker bakes 48 loaves a day, sells 31 of them, and gives half of the rest to 5 schools. How many are left?"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")

Pairs = set[tuple[int, int, str]]


def plain_words(text: str) -> list[str]:
    return _WORD.findall(fold(composed(text)))


def plain_hits(texts: Sequence[str], parts: Sequence[Part], n: int) -> Pairs:
    """(text, part, kind) of all hits, by Python tuples and dictionaries alone."""
    own = [plain_words(part.text) for part in parts]
    holders = defaultdict(set)
    for number, words in enumerate(own):
        if halves(words) >= 2 * n:
            for gram in grams(words, n):
                holders[gram].add(number)
    rare = {
        gram: found
        for gram, found in holders.items()
        if len({(parts[p].benchmark, parts[p].item) for p in found}) <= 20
    }
    indexed = set().union(*rare.values()) if rare else set()
    hits: Pairs = set()
    for text, content in enumerate(texts):
        words = plain_words(content)
        at: dict[int, list[int]] = defaultdict(list)
        for begin, gram in enumerate(grams(words, n)):
            for part in rare.get(gram, ()):
                at[part].append(begin)
        for part, begins in at.items():
            if any(halves(words[first : last + n]) >= 2 * n for first, last in runs(begins)):
                hits.add((text, part, "ngrams"))
        for part, item in enumerate(own):
            if item and item == words and part not in indexed and parts[part].is_question:
                hits.add((text, part, "whole"))
    return hits


def halves(words: Sequence[str]) -> int:
    return sum(1 if re.match(f"[{_UNSPACED}]", word) else 2 for word in words)


def grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    breaks = [0, *(at for at, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    return [(numbers[a], numbers[b - 1]) for a, b in pairwise(breaks)]


def parts_from(texts: Sequence[str]) -> list[Part]:
    return [Part("bench", f"row {number}", "question", text, True) for number, text in enumerate(texts)]


def found(texts: Sequence[str], parts: Sequence[Part], n: int) -> Pairs:
    numbers = {part: number for number, part in enumerate(parts)}
    return {(hit.text, numbers[hit.part], hit.kind) for hit in Index(parts, n).search(texts)}


WORDS = st.lists(
    st.sampled_from(["a", "b", "Ab", "12", "13", "é", "naïve", "所", "以", "½", "ﬁve", "x²", "straße", "item's"]),
    max_size=60,
)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=6)


@given(TEXTS, TEXTS, st.sampled_from(NS))
def test_the_hits_are_those_of_plain_python(benchmark: list[str], texts: list[str], n: int) -> None:
    parts = parts_from(benchmark)
    assert found([*texts, *benchmark], parts, n) == plain_hits([*texts, *benchmark], parts, n)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_the_words_are_those_of_plain_python(texts: list[str]) -> None:
    words = words_of(texts)
    assert [words.of(number) for number in range(len(texts))] == [plain_words(text) for text in texts]
    for number in range(len(texts)):
        if own := words.of(number):
            quoted = words.quoted(number, 0, len(own))
            assert plain_words(quoted)[: len(own)] == own
            assert quoted in composed(texts[number])


@given(st.data(), st.sampled_from(NS))
def test_a_planted_ngram_is_always_found(data: st.DataObject, n: int) -> None:
    item = data.draw(st.lists(st.text("abcdefgh0123456789é", min_size=1, max_size=12), min_size=n, max_size=40))
    start = data.draw(st.integers(0, len(item) - n))
    before, after = data.draw(WORDS), data.draw(WORDS)
    text = " ".join([*before, *item[start : start + n], *after])
    assert (0, 0, "ngrams") in found([text], parts_from([" ".join(item)]), n)


@given(st.data())
def test_spaces_case_and_punctuation_never_change_the_verdict(data: st.DataObject) -> None:
    gaps = st.sampled_from([" ", "\n", "\t  ", " , ", "...", " - ", "\u3000", "$ $", "\u2014", " ** "])
    words = re.findall(r"\w+", BAKER)
    text = "".join(data.draw(gaps) + data.draw(st.sampled_from([word, word.upper(), word.title()])) for word in words)
    assert found([text], parts_from([BAKER]), 13) == {(0, 0, "ngrams")}


@given(st.integers(0, 9999), st.sampled_from(NS))
def test_another_number_in_each_window_breaks_the_match(number: int, n: int) -> None:
    words = [f"word{at}" if at % n else str(at + 10_000) for at in range(3 * n)]
    other = [word if at % n else str(number) for at, word in enumerate(words)]
    assert found([" ".join(words), " ".join(other)], parts_from([" ".join(words)]), n) == {(0, 0, "ngrams")}


@given(st.text(max_size=30))
def test_what_is_equal_under_nfkc_and_lower_case_is_equal(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert plain_words(unicodedata.normalize(form, text)) == plain_words(text)


def test_folding_twice_is_folding_once() -> None:
    every = [chr(code) for code in range(0x110000)]
    assert [char for char in every if fold(fold(char)) != fold(char)] == []


def test_a_hash_collision_makes_no_hit() -> None:
    """Words that differ between their first and their last eight characters have one hash."""
    item = " ".join(f"beginning-a{at}-and-its-ending".replace("-", "x") for at in range(13))
    other = item.replace("a12", "b12")
    parts = parts_from([item])
    hashes = [word_hashes(words_of([text])).tolist() for text in (item, other)]
    assert hashes[0] == hashes[1]
    assert found([item, other], parts, 13) == {(0, 0, "ngrams")}
    assert found([item, other, f"{other} {item}"], parts_from([f"{item} {other}"]), 13) >= {
        (at, 0, "ngrams") for at in range(3)
    }


def test_the_ngrams_of_a_template_are_no_evidence() -> None:
    template = "Answer the following multiple choice question with one letter and explain in a few words why"
    few, many = ([f"{template}: question number {at}?" for at in range(count)] for count in (20, 21))
    assert len(found([template], parts_from(few), 13)) == 20
    assert found([template], parts_from(many), 13) == set()
    assert found([many[3]], parts_from(many), 13) == {(0, 3, "ngrams")}  # what ends in its own number is its own


def test_characters_of_a_script_without_spaces_count_half() -> None:
    item = "小明有十六个苹果他给了小红三个又给了小刚四个请问他现在还剩下几个苹果"
    assert found([item], parts_from([item]), 13) == {(0, 0, "ngrams")}
    assert found(["所以" + item[:26]], parts_from([item]), 13) == {(0, 0, "ngrams")}
    assert found(["所以" + item[:25]], parts_from([item]), 13) == set()


def test_a_hit_says_what_matches_and_how_much() -> None:
    (hit,) = Index(parts_from([BAKER]), 13).search(["Nothing.", f"So:\n{BAKER[:66].upper()}, he ate 2."])
    assert hit == Hit(1, parts_from([BAKER])[0], "ngrams", BAKER[:66].upper(), 3 / 12)


def test_a_fraction_and_a_ligature_are_quoted_as_written() -> None:
    text = f"Deﬁne ½ x̄. {BAKER} ½"
    (hit,) = Index(parts_from([BAKER]), 13).search([text])
    assert hit.span == BAKER.rstrip("?")


def near(text: str, items: Sequence[str], least: float = 95.0) -> list[tuple[str, float]]:
    similar = Similar(Index(parts_from(items), 13), least)
    return [(hit.part.item, hit.coverage) for hit in similar.search_words(words_of([text]), ())]


def test_a_question_with_other_numbers_is_similar() -> None:
    other = BAKER.replace("48", "52").replace("31", "34").replace(" 5 ", " 6 ")
    joined = [" ".join(plain_words(text)) for text in (BAKER, other)]
    assert near(other, ["Something else.", BAKER]) == [("row 1", fuzz.ratio(*joined) / 100)]
    assert near(other.replace("schools", "of the hospitals"), [BAKER]) == []
    assert near("Find 3 + 5 + 7 + 9.", ["Find 3 + 5 + 7 + 8."]) == []  # too short to be told by a ratio


@given(st.data(), st.sampled_from([80.0, 90.0, 95.0]))
def test_the_bounds_lose_no_similar_question(data: st.DataObject, least: float) -> None:
    words = data.draw(st.lists(st.text("abc123é所", min_size=1, max_size=9), min_size=13, max_size=30))
    item = " ".join(words)
    at = data.draw(st.lists(st.integers(0, len(item) - 1), max_size=12))
    text = "".join(
        data.draw(st.sampled_from(["", "z", "7 ", char * 2])) if n in at else char for n, char in enumerate(item)
    )
    ratio = fuzz.ratio(*(" ".join(plain_words(one)) for one in (item, text)))
    index = Index(parts_from([item]), 13)
    expected = [("row 0", ratio / 100)] if ratio >= least and index.distinct[0] else []
    assert near(text, [item], least) == expected


def test_real_benchmarks_against_real_prompts_as_plain_python_finds_them(real_data: Path) -> None:
    parts = [
        part
        for name in ("math500", "humaneval")
        for part in parts_of(real_data / "prompts" / f"{name}.jsonl.gz", (), "against", "columns")
    ]
    with gzip.open(real_data / "prompts" / "math_train.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["problem"] for line in lines][::5]
    for n in (8, 13):
        hits = found(texts, parts, n)
        assert len(hits) > 20
        assert hits == plain_hits(texts, parts, n)
