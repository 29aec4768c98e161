"""Phrases in real chains, files of phrases, and classifiers that are installed."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import re
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracemill.core import plugins
from tracemill.core.errors import InputError, TracemillError
from tracemill.core.types import Item
from tracemill.filters.safety import Safety
from tracemill.pipelines.policy import policy_of
from tracemill.pipelines.recipe import FilterSection

MakeItem = Callable[..., Item]
CLASSIFIERS = """
def marked(text, prompt):
    return 0.9 if "harm" in text and "mix" in prompt else 0.1

def broken(text, prompt):
    raise ValueError("no model\\nhere")

def unsure(text, prompt):
    return float("nan")
"""
POINTS = """[tracemill.classifiers]
marked = judging_harm:marked
broken = judging_harm:broken
unsure = judging_harm:unsure
missing = judging_harm:nothing
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with classifiers, as pip would lay it out."""
    info = tmp_path / "judging_harm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: judging-harm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "judging_harm.py").write_text(CLASSIFIERS)
    monkeypatch.syspath_prepend(tmp_path)


def detail(told: Safety, item: Item) -> str | None:
    drop = told.check(item.trace, item.prompt)
    return f"{drop.reason}: {drop.detail}" if drop else None


def test_the_detail_says_for_reasoning_and_answer_what_is_where(make_item: MakeItem) -> None:
    told = Safety(("pipe bomb", "bomb", "nerve agent"))
    both = make_item("Straße nach Süden: a Pipe\nBomb, a bomb.", "No nerve-agent!")
    assert detail(told, both) == "word: reasoning, character 21: 'pipe bomb'; answer, character 3: 'nerve agent'"
    assert detail(told, make_item("I think.", "a bomb")) == "word: answer, character 2: 'bomb'"
    assert detail(told, make_item("I think.", "42")) is None


def test_a_list_is_read_from_files(tmp_path: Path, make_item: MakeItem) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("\ufeff# of the lab\n\n  nerve agent  \r\n#x\n", "utf-8")
    second.write_text("Größe X\n", "utf-8")
    told = Safety(word_lists=(str(first), str(second)))
    assert detail(told, make_item("Of nerve agents.", "GRÖSSE X")) == "word: answer, character 0: 'Größe X'"
    assert detail(told, make_item("A nerve agent of the lab", "")) == "word: reasoning, character 2: 'nerve agent'"


def test_what_the_list_holds_is_part_of_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("bomb\n")
    section = FilterSection(name="safety", options={"word_lists": [str(path)]})
    before = policy_of([section]).id
    assert policy_of([section]).id == before
    path.write_text("bomb\nbombs\n")
    assert policy_of([section]).id != before
    assert Safety().digest == ""


def test_a_list_edited_between_two_makings_is_matched_as_it_is_now(tmp_path: Path, make_item: MakeItem) -> None:
    path, item = tmp_path / "words.txt", make_item("A bomb, a knife.")
    path.write_text("bomb\n")
    before = Safety(word_lists=(str(path),))
    assert detail(before, item) == "word: reasoning, character 2: 'bomb'"
    path.write_text("knife\n")
    after = pickle.loads(pickle.dumps(Safety(word_lists=(str(path),))))
    assert detail(after, item) == "word: reasoning, character 10: 'knife'"
    assert detail(before, item) == "word: reasoning, character 2: 'bomb'"
    assert (before, hash(before), repr(before)) == (after, hash(after), repr(after)), "the same options"
    assert before.digest != after.digest


def test_a_list_edited_before_its_first_use_is_not_filed_under_what_it_held(
    tmp_path: Path, make_item: MakeItem
) -> None:
    path, item = tmp_path / "words.txt", make_item("A bomb, a knife.")
    path.write_text("bomb\n")
    told = Safety(word_lists=(str(path),))
    path.write_text("knife\n")
    with pytest.raises(InputError, match=r"^word_lists: .*words.txt changed during the run; run it again$"):
        told.check(item.trace, item.prompt)


def test_ten_thousand_phrases_are_found_where_a_plain_search_finds_them(real_data: Path, make_item: MakeItem) -> None:
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        chains = [json.loads(line)["reasoning"] for line, _ in zip(lines, range(60), strict=False)]
    dice = random.Random(3)
    pairs = [pair for chain in chains for pair in re.findall(r"\b[A-Za-z]{4,} [A-Za-z]{4,}\b", chain)]
    real = dice.sample(sorted(set(pairs)), 20)
    made = ["".join(dice.choices(string.ascii_lowercase, k=9)) + " one" for _ in range(10_000)]
    told = Safety(words=(*made, *real))
    plain = [re.compile(rf"\b{phrase.replace(' ', '[ -]')}\b", re.IGNORECASE) for phrase in real]
    found = 0
    for chain in chains:
        text = re.sub(r"\s", " ", chain)
        places = [match.start() for pattern in plain for match in pattern.finditer(text)]
        expected = f"word: reasoning, character {min(places)}: " if places else "None"
        assert str(detail(told, make_item(chain))).startswith(expected)
        found += bool(places)
    assert found > 10


LETTERS = st.text("aAbßéΣ炸x_ -\n.", min_size=1, max_size=6)


@given(before=LETTERS, phrase=LETTERS, after=LETTERS)
def test_a_phrase_is_found_as_a_whole_word(before: str, phrase: str, after: str, make_item: MakeItem) -> None:
    assume(phrase.strip(" -\n"))
    item = make_item(f"{before} {phrase.swapcase()} {after}", "")
    drop = Safety((phrase,)).check(item.trace, item.prompt)
    spaced = " ".join(phrase.split())
    if spaced == phrase:
        assert drop is not None
        place = int(re.findall(r"character (\d+)", drop.detail)[0])
        assert item.trace.reasoning[place:].casefold()[: len(phrase.casefold())].translate(
            {ord("\n"): " ", ord("-"): " "}
        ) == phrase.casefold().replace("-", " ")
    glued = make_item(f"q{phrase}q", "")
    if re.fullmatch(r"[abx_]+", phrase):
        assert Safety((phrase,)).check(glued.trace, glued.prompt) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no phrase; write one a line"),
        (b"# only this\n\n", "holds no phrase; write one a line"),
        (b"bomb\nGr\xf6\xdfe\n", r"is not UTF-8 \(byte 7\); save it as UTF-8"),
    ],
)
def test_a_list_of_no_use_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^word_lists: .*words.txt {message}$"):
        Safety(word_lists=(str(path),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"word_lists": ["no/such.txt"]}, r"filters\[0\]\.word_lists: no/such.txt cannot be read: No such file"),
        ({"words": [" - "]}, r"filters\[0\]\.words: ' - ' would be in every trace; leave it out"),
        ({"threshold": 1.5}, r"filters\[0\]\.threshold: 1.5 is not between 0 and 1"),
        ({"classifier": "os:system"}, r"filters\[0\]\.classifier: no entry point 'os:system' of group tracemill"),
        ({"classifier": "markd"}, r"filters\[0\]\.classifier: no entry point 'markd' .* \(did you mean 'marked'\?\)"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_mistake_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        plugins.get("filters", "safety", options, where="filters[0]")


@pytest.mark.usefixtures("installed")
def test_a_classifier_is_asked_for_reasoning_and_answer(make_item: MakeItem) -> None:
    told = Safety(classifier="marked")
    item = make_item("There is harm in it.", "No.", prompt="How do I mix it?")
    assert detail(told, item) == "classifier: marked: reasoning: 0.900 >= 0.5"
    item = make_item("No.", "Some harm.", prompt="How do I mix it?")
    assert detail(told, item) == "classifier: marked: answer: 0.900 >= 0.5"
    assert detail(told, make_item("There is harm in it.", "harm", prompt="Is it?")) is None
    assert detail(Safety(classifier="marked", threshold=0.95), item) is None
    assert detail(Safety(("some",), classifier="marked"), item) == "word: answer, character 0: 'some'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "'broken' failed: ValueError: no model here"),
        ("unsure", "'unsure' gave nan, which is no probability"),
        ("missing", r"'missing' \(judging_harm:nothing\) cannot be loaded: AttributeError: .*"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_classifier_that_fails_lets_nothing_pass(name: str, message: str, make_item: MakeItem) -> None:
    item = make_item("I think.")
    with pytest.raises(TracemillError, match=f"^classifier: {message}$"):
        Safety(classifier=name).check(item.trace, item.prompt)
