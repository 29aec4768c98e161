"""Near-copies are found and stated, template-mates with other numbers are not; the index on disk agrees."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.types import Item, Prompt
from tracemill.filters import band_index
from tracemill.filters.clusters import Copy, Sketches, Text, connected, copies
from tracemill.filters.minhash import PRESETS, Scheme, folded, shingles, shingles_and_numbers
from tracemill.filters.near_duplicates import NearDuplicates, near_duplicate_prompts

MakeItem = Callable[..., Item]
DEFAULT, AGGRESSIVE = PRESETS["default"], PRESETS["aggressive"]
WORDS = ["so", "the", "sum", "is", "x", "12", "7", "we", "get", "一", "二", "half", "of", "a_word_of_more_than_eight"]


@pytest.fixture(scope="module")
def chains(real_data: Path) -> list[str]:
    """Pieces of 300 words of real chains."""
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        words = [json.loads(line)["reasoning"].split() for line in lines]
    return [" ".join(one[:300]) for one in words if len(one) >= 300][:200]


def edited(text: str, edits: int, seed: int) -> str:
    words = text.split()
    for place in random.Random(seed).sample(range(len(words)), edits):
        words[place] = f"edit{chr(97 + place % 26)}{chr(97 + place // 26)}"
    return " ".join(words)


def reference_jaccard(left: str, right: str, size: int) -> float:
    """Of word shingles as Python makes them."""

    def made(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}

    one, other = made(left), made(right)
    return len(one & other) / len(one | other)


def sketches(texts: Iterable[Text], scheme: Scheme = DEFAULT) -> Sketches:
    found = Sketches(scheme)
    found.add(texts)
    return found


def test_jaccards_are_those_of_plain_sets(chains: list[str]) -> None:
    texts = [*chains[:20], *(edited(text, 3 * number, number) for number, text in enumerate(chains[:20]))]
    made = sketches(Text(str(number), text) for number, text in enumerate(texts))
    made.seal()
    import numpy as np

    pairs = np.array([(one, other) for one in range(40) for other in range(one + 1, 40)])
    found, _ = made.measured(pairs)
    assert found == pytest.approx([reference_jaccard(texts[one], texts[other], 5) for one, other in pairs], abs=1e-6)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("1 2 3 4", "1 2 3 4", 1), ("x=1 then 2", "x=1 so 2", 1), ("7 7 7 7", "7 7 8", 2 / 3),
     ("a 3", "a 4", 0), ("a", "b 7", 1),
     ("九 9 。3", "9 3", 1 / 2), ("a_word_of_eleven_and_1 b", "a_word_of_eleven_and_2 b", 0)],
)  # fmt: skip
def test_numbers_are_words_with_a_digit_as_often_as_they_occur(left: str, right: str, expected: float) -> None:
    import numpy as np

    made = sketches([Text("l", left), Text("r", right)])
    made.seal()
    assert made.measured(np.array([(0, 1)]))[1].tolist() == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), (" \n\0\t", 0), ("one", 1), ("a b c d", 1), ("a b c d e", 1), ("a  b\nc d e f", 2), ("七乘以六等于", 2),
     ("the ’ → ≤ é end", 2), ("x" * 500, 1)],
)  # fmt: skip
def test_shingles_of_five_words(text: str, count: int) -> None:
    assert shingles([folded(text)], 5).offsets.tolist() == [0, count]


@given(
    st.lists(st.lists(st.sampled_from([*WORDS, "y" * 64, "y" * 65, "z" * 17])), min_size=1, max_size=6),
    st.integers(1, 6),
)
def test_hashes_are_equal_where_the_words_are(texts: list[list[str]], size: int) -> None:
    """Whatever stands before and after in the batch, and whatever the white space."""
    parts = [folded(" ".join(words)) for words in texts]
    together, numbers = shingles_and_numbers(parts, size)
    expected: dict[int, list[str]] = {}
    for number, words in enumerate(texts):
        alone, numbers_alone = shingles_and_numbers([folded("\n  ".join(words).upper() + "\t")], size)
        assert (
            together.values[together.offsets[number] : together.offsets[number + 1]].tolist() == alone.values.tolist()
        )
        assert (
            numbers.values[numbers.offsets[number] : numbers.offsets[number + 1]].tolist()
            == numbers_alone.values.tolist()
        )
        if len(words) >= size:
            assert len(alone.values) == len(words) - size + 1
            for at, value in enumerate(alone.values.tolist()):
                assert expected.setdefault(value, words[at : at + size]) == words[at : at + size]
        assert len(numbers_alone.values) == sum(any(mark in "0123456789" for mark in word) for word in words)


@given(st.lists(st.text(st.sampled_from("ab 1九\n"), max_size=30), max_size=20))
@example([""] * 3)
def test_a_copy_is_always_found(texts: list[str]) -> None:
    twice = [Text(str(number), text) for number, text in enumerate([*texts, *texts])]
    found = copies(twice, DEFAULT)
    dropped = {one.id for one in found}
    for number, text in enumerate(texts):
        has_words = any(mark not in " \n" for mark in text)
        assert (str(number + len(texts)) in dropped) == has_words
    assert all(one.jaccard >= DEFAULT.threshold and one.keeper not in dropped for one in found)
    assert [int(one.id) for one in found] == sorted(int(one.id) for one in found)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_what_is_connected_is_one_cluster(pairs: list[tuple[int, int]]) -> None:
    of = {one: number for number, cluster in enumerate(connected(pairs)) for one in cluster}
    for left, right in pairs:
        assert left == right or of[left] == of[right]
    for cluster in connected(pairs):
        reached = {cluster[0]}
        for _ in cluster:
            reached |= {one for pair in pairs for one in pair if reached & set(pair)}
        assert reached == set(cluster)


def test_the_order_decides_only_who_is_kept(chains: list[str]) -> None:
    texts = [Text(f"{n}.{m}", edited(chain, 4 * m, m)) for n, chain in enumerate(chains[:8]) for m in range(6)]
    texts += [Text(f"same{n}", chains[100]) for n in range(40)]  # more than SMALL in one bucket
    clusters = []
    for seed in range(4):
        random.Random(seed).shuffle(texts)
        found = copies(texts, DEFAULT)
        groups: dict[str, set[str]] = {}
        for one in found:
            groups.setdefault(one.keeper, {one.keeper}).add(one.id)
        place = {text.id: number for number, text in enumerate(texts)}
        assert all(min(group, key=place.__getitem__) == keeper for keeper, group in groups.items())
        clusters.append(sorted(map(sorted, groups.values())))
    assert clusters[0] == clusters[1] == clusters[2] == clusters[3]
    assert len(clusters[0]) == 9


def test_each_drop_states_a_pair_that_is_near(chains: list[str]) -> None:
    drift = [chains[0]]
    for step in range(1, 12):  # each near to the one before it, the last far from the first
        drift.append(edited(drift[-1], 8, step))
    texts = {str(number): text for number, text in enumerate(drift)}
    found = copies((Text(*pair) for pair in texts.items()), AGGRESSIVE)
    assert len(found) == 11
    assert {one.keeper for one in found} == {"0"}
    assert found[0].pair == "0"
    assert found[-1].pair != "0"
    stated = {"0"}
    for one in sorted(found, key=lambda one: int(one.id)):
        assert one.jaccard == pytest.approx(reference_jaccard(texts[one.id], texts[one.pair], 3), abs=1e-6)
        assert one.jaccard >= AGGRESSIVE.threshold
        assert one.pair in stated | {other.id for other in found}
        stated.add(one.id)


@pytest.mark.parametrize(("preset", "edits"), [("default", 3), ("aggressive", 15)])
def test_edited_copies_of_real_chains_are_found(
    make_item: MakeItem, chains: list[str], preset: str, edits: int
) -> None:
    plugin = plugins.get("filters", "near_duplicates", {"preset": preset})
    originals = [make_item(text, prompt=f"p{n}", number=n) for n, text in enumerate(chains)]
    those = {drop.trace_id for drop in plugin.sift(originals)}
    assert len(those) <= 4  # some real chains of one question begin alike
    copied = [make_item(edited(text, edits, n), prompt=f"q{n}", number=n + 200) for n, text in enumerate(chains)]
    found = {drop.trace_id: drop.detail for drop in plugin.sift([*originals, *copied])}
    right = sum(found.get(f"t{n + 200}", "").startswith(f"t{n}: jaccard 0.") for n in range(200))
    assert right >= 195


def test_the_same_template_with_other_numbers_stays(make_item: MakeItem, chains: list[str]) -> None:
    """However near its shingles are: these chains have a number in one word of fifteen or less."""
    texts = [text for text in chains if 6 <= len(re.findall(r"\d+", text)) <= 20]
    assert len(texts) > 30
    items = []
    for number, text in enumerate(texts):
        other = re.sub(r"\d+", lambda match: str(int(match[0]) + 17), text)
        items += [make_item(one, prompt=f"p{n}", number=n) for n, one in ((2 * number, text), (2 * number + 1, other))]
    ignoring = replace(AGGRESSIVE, numbers=0.0)
    plain = copies((Text(item.trace.id, item.trace.reasoning) for item in items), ignoring)
    assert len(plain) > 15  # by their words alone they would go
    for preset in ("default", "aggressive"):
        drops = list(plugins.get("filters", "near_duplicates", {"preset": preset}).sift(items))
        assert all(int(drop.trace_id[1:]) // 2 != int(drop.detail.split(":")[0][1:]) // 2 for drop in drops)


def test_traces_of_problems_with_other_answers_are_not_compared(make_item: MakeItem, chains: list[str]) -> None:
    one, same = make_item(chains[0], prompt="p", number=0), make_item(chains[0], prompt="q", number=1)
    assert [drop.trace_id for drop in NearDuplicates().sift([one, same])] == ["t1"]
    other = Item(replace(same.prompt, reference="43"), same.trace)
    assert list(NearDuplicates().sift([one, other])) == []
    jugs = [
        Item(replace(item.prompt, text=f"Jugs of 3 and {n} litres.", reference=""), item.trace)
        for n, item in ((5, one), (7, same))
    ]
    assert list(NearDuplicates().sift(jugs)) == []  # a puzzle whose reference is no answer
    assert list(NearDuplicates(scope="prompt").sift([one, same])) == []


def test_the_longest_or_the_shortest_is_kept_if_asked(make_item: MakeItem, chains: list[str]) -> None:
    items = [make_item(chains[0] + " and" * more, number=number) for number, more in enumerate((2, 3, 1, 3))]
    for keep, kept in (("first", "t0"), ("longest", "t1"), ("shortest", "t2")):
        drops = list(plugins.get("filters", "near_duplicates", {"keep": keep}).sift(items))
        assert {drop.detail.split(":")[0] for drop in drops} == {kept}
        assert len(drops) == 3


def test_prompts_need_the_same_numbers() -> None:
    def prompt(text: str, reference: str = "72") -> Prompt:
        return Prompt(text, text, "math", "math", reference, "test")

    text = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether in April and May?"
    renamed, renumbered = prompt(text.replace("altogether ", "")), prompt(text.replace("48", "46"))
    asked = replace(renamed, id="asked", text=text.replace("altogether", "less"), reference="24")
    found = near_duplicate_prompts([prompt(text), renamed, renumbered, asked])
    assert [(one.id, one.keeper, one.pair) for one in found] == [(renamed.id, text, text)]
    assert found[0].jaccard == pytest.approx(reference_jaccard(text, renamed.text, 3))
    assert near_duplicate_prompts([prompt(text), prompt(text.replace("half as many", "three times as many"))]) == []
    bare = [prompt(text, ""), prompt(text.replace("altogether ", ""), ""), prompt(text.upper(), "")]
    assert [one.id for one in near_duplicate_prompts(bare)] == [text.upper()], "nothing says that they are the same"


def test_the_index_finds_what_the_sieve_finds(tmp_path: Path, chains: list[str]) -> None:
    indexed = {f"old{n}": text for n, text in enumerate(chains[:100])}
    asked: list[str] = []

    def stored(ids: Iterable[str]) -> list[Text]:
        asked.extend(ids)
        return [Text(one, indexed[one]) for one in asked]

    for start in (0, 50):
        band_index.write(tmp_path, sketches(Text(f"old{n}", chains[n]) for n in range(start, start + 50)))
    new = [Text(f"new{n}", edited(chains[n], 3, n)) for n in range(60, 140)]
    found = band_index.copies_of_indexed(tmp_path, sketches(new), stored)
    by_sieve = copies([*(Text(*pair) for pair in indexed.items()), *new], DEFAULT)
    assert {(one.id, one.keeper) for one in found} >= {
        (f"new{n}", f"old{n}") for n in range(60, 100) if n not in (0,)
    } & {(one.id, one.pair) for one in by_sieve}
    assert len(found) >= 38
    assert set(asked) <= set(indexed)
    assert found[0] == Copy("new60", "old60", found[0].jaccard, "old60")
    assert found[0].jaccard == pytest.approx(reference_jaccard(chains[60], new[0].text, 5), abs=1e-6)


def test_writing_again_changes_nothing_and_what_is_left_out_is_not_found(tmp_path: Path, chains: list[str]) -> None:
    texts = [Text(str(number), text) for number, text in enumerate(chains[:10])]
    assert band_index.candidates(tmp_path, sketches(texts)) == []
    band_index.write(tmp_path, sketches(texts), without={"3"})
    files = sorted(tmp_path.iterdir())
    band_index.write(tmp_path, sketches(texts), without={"3"})
    assert sorted(tmp_path.iterdir()) == files
    assert len(files) == 2
    again = sketches(Text(f"again{number}", text) for number, text in enumerate(chains[:10]))
    assert {other for _, other in band_index.candidates(tmp_path, again)} >= {*map(str, range(10))} - {"3"}
    assert (3, "3") not in band_index.candidates(tmp_path, again)
    assert all(again.ids[number] != other for number, other in band_index.candidates(tmp_path, again))


def test_an_index_of_another_kind_is_refused(tmp_path: Path, chains: list[str]) -> None:
    texts = [Text("a", chains[0])]
    band_index.write(tmp_path, sketches(texts))
    line = (
        r"keys of another kind \(words 5 is not 3, bands 14 is not 25, rows 8 is not 5\); remove the folder and index"
    )
    with pytest.raises(InputError, match=line):
        band_index.candidates(tmp_path, sketches(texts, AGGRESSIVE))
    with pytest.raises(InputError, match="keys of another kind"):
        band_index.write(tmp_path, sketches(texts, AGGRESSIVE))


def test_a_threshold_is_a_share() -> None:
    with pytest.raises(InputError, match=r"threshold: must be over 0 and at most 1, got 1\.5"):
        NearDuplicates(threshold=1.5)
    assert NearDuplicates(threshold=0.8).scheme == replace(DEFAULT, threshold=0.8)
