"""Habits and parts of chains: in each language, at clause starts only, at the right character, and for any text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.anatomy import Habits
from tracemill.filters.anatomy import reading
from tracemill.filters.anatomy.markers import HABITS, KINDS, phrases, table
from tracemill.filters.anatomy.search import BITS, Folded, hits
from tracemill.filters.behaviours import anatomy

LABELS = Path(__file__).parents[2] / "bench" / "labelled" / "anatomy.jsonl"
CHAIN = (
    "Okay, I need to know how many eggs the farmer sells. "
    "Let me add them up. He has 48 eggs and eats 8 of them in the morning, every day of the week. "
    "So the answer is 40.\n\n"
    "Wait, maybe I misread the question. It says that he eats 8 eggs and bakes 4 into a cake for all of his friends on "
    "the very same morning, so that is 12 eggs that he cannot sell, which leaves 36 of them in the end for the market.\n\n"
    "Alternatively, count from the other side. It says that he eats 8 eggs and bakes 4 into a cake for all of his friends "
    "on the very same morning, so that is 12 eggs that he cannot sell.\n\n"
    "Therefore, he sells 36 eggs."
)


def habits(text: str) -> Habits:
    return anatomy(text).habits


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The sum is 12. Let me check that: 5 and 7 is 12, so it is right.", "verification"),
        ("If it is a fish, it cannot fly. But that doesn't work.", "verification"),
        ("It is a fish. Wait, no, it flies, so it is none of the fish.", "backtracking"),
        ("So it is a fish. Hmm. Alternatively, it could be a bird.", "backtracking"),
        ("First, I add the eggs of the first day to those of the second.", "subgoals"),
        ("Let's work backwards from the 24 that we want.", "backward_chaining"),
        ("To get 4 litres in the big jug, we need 1 litre in the small one.", "backward_chaining"),
        ("Die Summe ist 12. Lass mich das überprüfen: das ist richtig, und wir sind fertig.", "verification"),
        ("Das ist nicht der Fall. Alternativ kann ich die Zahl mit einem Baum suchen.", "backtracking"),
        ("Zunächst addiere ich die Eier, und dann ist das nicht mehr schwer.", "subgoals"),
        ("Um die 24 zu erreichen, brauche ich eine 12, und die ist nicht da.", "backward_chaining"),
        ("La somme est 12. Vérifions que le total est juste et que la règle est la même.", "verification"),
        ("Une autre approche est de compter les pommes de la liste.", "backtracking"),
        ("D'abord, je compte les pommes, et la somme est dans le tableau.", "subgoals"),
        ("En partant de la fin, il faut que le nombre soit 12 et que la somme est 24.", "backward_chaining"),
        ("La suma es 12. Comprobemos que el total es el correcto y que no se repite.", "verification"),
        ("Otra posibilidad es que el número sea par, y la suma no es la misma.", "backtracking"),
        ("Primero, sumo las manzanas que hay en la caja, y es una suma con dos números.", "subgoals"),
        ("Para obtener 24 hay que tener un 12, y no hay una forma de que se pueda.", "backward_chaining"),
        ("Сумма равна 12. Давайте проверим: 5 и 7 будет 12.", "verification"),
        ("Это не так. Попробуем другой путь.", "backtracking"),
        ("Сначала сложим яйца первого дня.", "subgoals"),
        ("Чтобы получить 24, нам нужно число 12.", "backward_chaining"),
        ("总和是12。让我验证一下:5加7等于12。", "verification"),
        ("这样不行。换个思路,也许它是一只鸟。", "backtracking"),
        ("首先,我们把第一天的鸡蛋加起来。", "subgoals"),
        ("我们从24开始倒推。", "backward_chaining"),
        ("合計は12です。検算してみます。", "verification"),
        ("それは違う。別の方法を考えてみよう。", "backtracking"),
        ("まず、一日目の卵を足します。", "subgoals"),
        ("24から逆算すると、12が必要です。", "backward_chaining"),
    ],
)  # fmt: skip
def test_each_habit_in_each_language(text: str, found: str) -> None:
    counts = habits(text)
    assert getattr(counts, found) == 1
    others = {"backward_chaining", "backtracking", "subgoals"} - {found}
    assert {name: getattr(counts, name) for name in others} == dict.fromkeys(others, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\n ",
        "He sits in the waiting room, and they wait for the first train.",
        "We know the actual alternatives and the checks of the bank; a backward step is in it.",
        "The firstborn is the waiter of the checkout counter.",
        "We add the eggs of both days. That is 48, and he sells half of it.",
    ],
)
def test_words_within_clauses_are_no_habits(text: str) -> None:
    assert habits(text) == Habits(0, 0, 0, 0)


def test_particles_stand_before_markers_and_a_clause_of_particles_goes_with_the_next() -> None:
    assert habits("So, hmm, okay, let me check the sum of it.").verification == 1
    assert habits("It is 12. **Wait, no.** It is 13 in the end.").backtracking == 1
    assert habits("- But wait, maybe it is the other one.").backtracking == 1
    assert habits("Wait, it is 12 in the end.").backtracking == 0, "it only stops"


def test_markers_near_each_other_are_one_instance() -> None:
    assert habits("Let me check if it is. That works, it fits.").verification == 1
    far = "And then there is nothing in it for quite a long while, as the story of the eggs is told to the end."
    assert habits(f"Let me check that. {far} Let me check that again.").verification == 2


def test_the_parts_of_a_chain_are_where_they_are() -> None:
    found = anatomy(CHAIN)
    assert found.definition_end == CHAIN.index("Let me add")
    assert CHAIN[: found.bloom_end].endswith("So the answer is 40.")
    assert found.cycles == 2
    assert found.ruminations == 1, "the second cycle says what the first said"
    assert found.rumination == pytest.approx(139 / 383), "two clauses of seven"
    assert found.final_start == CHAIN.index("Therefore")
    assert (found.words, found.paragraphs) == (len(CHAIN.split()), 4)


@pytest.mark.parametrize("odd", ["’", "“”", "İstanbul’da", "→ ≈ é", "中文", "Привет", "𝔘", "\ud800", "日本のひと"])
def test_places_are_characters_whatever_stands_before_them(odd: str) -> None:
    text = CHAIN.replace("48 eggs", f"48 {odd} eggs")
    found = anatomy(text)
    assert found.definition_end == text.index("Let me add")
    assert text[: found.bloom_end].endswith("So the answer is 40.")
    assert found.final_start == text.index("Therefore")
    assert found.cycles == 2


def test_a_chain_without_parts_has_none() -> None:
    found = anatomy("We add 40 to 2.")
    assert (found.definition_end, found.bloom_end, found.final_start) == (None, None, None)
    assert (found.cycles, found.ruminations, found.rumination) == (0, 0, None)
    unfinished = anatomy(CHAIN[: CHAIN.index("Therefore")])
    assert unfinished.final_start is None, "it was cut off while it was thinking"
    assert unfinished.cycles == 2


@pytest.mark.parametrize("language", table())
def test_every_phrase_of_the_table_is_found(language: str) -> None:
    assert set(table()[language]) - {"particles", "commonest"} == set(KINDS)
    for kind, phrase in phrases(language):
        data = phrase.replace("…", "12").encode()
        assert any(bits & BITS[kind] for _, bits in hits(Folded(data, (language,), is_ascii=False))), (kind, phrase)


def test_reading_ease_is_fleschs_and_for_english_only() -> None:
    assert reading.flesch("The cat sat on the mat.") == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    assert reading.flesch("We made a table. It was late.") == pytest.approx(206.835 - 1.015 * 3.5 - 84.6 * 8 / 7)
    hard = reading.flesch(
        "Notwithstanding considerable methodological heterogeneity, generalisation remains inadvisable."
    )
    assert hard is not None
    assert hard < 0
    assert reading.flesch("12 + 30 = 42") is None
    assert anatomy(CHAIN).flesch == pytest.approx(reading.flesch(CHAIN))
    for foreign in ("Das ist nicht der Fall, und die Zahl ist eine andere.", "首先,我们把鸡蛋加起来。", "Это не так."):
        assert anatomy(foreign).flesch is None


def test_words_and_paragraphs() -> None:
    assert reading.count_words("Don't count 3 words, but six.") == 6
    assert reading.count_words("我们把鸡蛋加起来 and more") == 4 + 2
    assert reading.count_words("") == 0
    assert reading.count_paragraphs("\n\na\nb\n \n\n c\n\n") == 2
    assert reading.count_paragraphs(" \n") == 0


pieces = st.one_of(
    st.text(max_size=20),
    st.sampled_from([phrase for language in table() for _, phrase in phrases(language)]),
    st.sampled_from([". ", ", ", "\n\n", " the is of ", "’", "。", CHAIN]),
)


@given(st.lists(pieces, max_size=30).map("".join))
def test_any_text_has_an_anatomy(text: str) -> None:
    found = anatomy(text)
    places = [0, found.definition_end or 0, found.bloom_end or found.definition_end or 0, len(text)]
    assert places == sorted(places)
    assert found.final_start is None or places[2] <= found.final_start <= len(text)
    assert 0 <= found.ruminations <= found.cycles
    assert (found.rumination is None) == (found.cycles == 0)
    assert 0 <= (found.rumination or 0) <= 1
    assert found.words >= 0
    assert found == anatomy(text)


def test_the_markers_find_what_a_reader_found(real_data: Path) -> None:
    with gzip.open(real_data / "traces" / "long_reasoning.jsonl.gz", "rt") as lines:
        chains = [json.loads(line)["reasoning"] for line in lines]
    rows = [json.loads(line) for line in LABELS.read_text().splitlines()]
    assert len(rows) == 182
    shares = {}
    for habit, letter in zip(HABITS, "VBSC", strict=True):
        seen = {at for at, row in enumerate(rows) if letter in row["habits"]}
        told = {
            at
            for at, row in enumerate(rows)
            if getattr(habits(chains[row["row"]].split("\n\n")[row["paragraph"]]), habit)
        }
        shares[habit] = (len(seen & told) / len(told), len(seen & told) / len(seen))
    least = {
        "verification": (0.85, 0.75), "backtracking": (0.9, 0.9), "subgoals": (0.65, 0.7),
        "backward_chaining": (0.8, 0.9),
    }  # fmt: skip
    assert all(share >= floor for habit in HABITS for share, floor in zip(shares[habit], least[habit], strict=True)), (
        shares
    )
