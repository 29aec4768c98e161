"""Pieces of prose, against a plain way to cut them, and which are plainly in a language."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.pieces import _OWN, LONG_PIECE, PIECE, pieces_in_doubt, words_of
from tracemill.core.prose import prose
from tracemill.core.scripts import SCRIPTS, beyond_ascii, latin_words, only, runs_by_script, scripts_of

NOT_WORDS = re.compile(
    r"[\x00-\x09\x0b-\x26\x28-\x40\x5b-\x60\x7b-\xbf×÷\u1680\u2000-\u2bff\u3000-\u303f\uff00-\uff65\ue000-\uf8ff"
    r"\U0001f000-\U0001faff]+"
)
END_OF_PIECE = re.compile(r"(?<=[.!?:;।؟])[\s\"')\]*]+|\n+|(?<=[。！？；…])")
TEXT = st.lists(
    st.sampled_from(
        ["the duck", " ", "\n", ". ", ".'", "? ", "…", "。", "؟ ", ".\u00a0", "3.14", "(", ")", "*", "'", "é"]
    )
    | st.text(max_size=4)
    | st.sampled_from(["word", "x", "Größe", "слово", "İ", "don't", "→", "≤", "\t", "\x1c"])
).map(lambda parts: prose("".join(parts)))


def cut(plain: str) -> Iterator[str]:
    """The pieces, as the module says, in regular expressions."""
    waiting: list[str] = []
    for sentence in NOT_WORDS.sub(" ", END_OF_PIECE.sub("\n", plain)).lower().split("\n"):
        words = [word for word in sentence.split() if len(word) > 1 or not word.isascii()]
        if len(words) < PIECE:
            waiting += words
            words, waiting = (waiting, []) if len(waiting) >= PIECE else ([], waiting)
        size = -(-len(words) // max(1, -(-len(words) // LONG_PIECE)))
        for start in range(0, len(words), size or 1):
            yield " ".join(words[start : start + size])


@given(TEXT)
def test_pieces_are_cut_as_regular_expressions_cut_them(plain: str) -> None:
    assert pieces_in_doubt(plain, "xx") == list(cut(plain))
    words = [word for word in NOT_WORDS.sub(" ", plain).lower().split() if len(word) > 1 or not word.isascii()]
    assert words_of(plain) == " ".join(words)
    in_doubt = [word for piece in pieces_in_doubt(plain, "en") for word in piece.split()]
    assert len(in_doubt) <= len(words)


@given(st.text())
def test_rare_characters_decide_as_all_of_them_do(text: str) -> None:
    assert beyond_ascii(text) == "".join(char for char in text if ord(char) > 0x7F)
    assert latin_words(text) == len(re.findall("[A-Za-zÀ-ÖØ-öø-ʯ\u0300-\u036fḀ-ỿ]{2,}", text))
    assert runs_by_script(text) == {
        name: found for name, script in SCRIPTS.items() if (found := script.pattern.findall(text))
    }


def test_a_long_sentence_is_judged_in_equal_parts() -> None:
    pieces = pieces_in_doubt(" ".join(["word"] * 81) + ". Two words. And two more words.", "en")
    assert [piece.count(" ") + 1 for piece in pieces] == [27, 27, 27]
    assert pieces_in_doubt(" ".join(["the", "word"] * 41), "en") == []


def test_a_quotation_in_a_plain_sentence_is_in_doubt() -> None:
    quoting = "so that is what we say when we see that die Eier jeden Tag gelegt werden and it is then that we go"
    assert pieces_in_doubt(quoting, "en") == [words_of(quoting)]
    assert pieces_in_doubt(quoting.replace("die Eier jeden", "the eggs that"), "en") == []


def test_short_sentences_in_doubt_are_put_together() -> None:
    assert pieces_in_doubt("Eier zählen. Let me see. Wir zählen nun.", "en") == ["eier zählen wir zählen nun"]
    assert pieces_in_doubt("Eier zählen. Let me see. Wir zählen.", "en") == []
    assert pieces_in_doubt("Eier zählen. Let me see. Wir zählen nun.", "en", spared=5) == []


@pytest.mark.parametrize(
    ("piece", "language", "is_plain"),
    [
        ("the eggs that ducks lay", "en", True),
        ("eggs ducks lay the breakfast", "en", False),
        ("fill the liter jug then fill the jug", "en", True),
        ("die Eier, die jeden Tag gelegt werden", "de", True),
        ("die Eier, die jeden Tag gelegt werden", "en", False),
        ("les œufs et la farine sont dans une boîte", "fr", False),
        ("los huevos y la harina están en una caja", "es", False),
    ],
)
def test_every_fourth_a_function_word_is_plain(piece: str, language: str, is_plain: bool) -> None:
    assert pieces_in_doubt(piece, language) == ([] if is_plain else [words_of(piece)])


@pytest.mark.parametrize(
    "sentence",
    [
        "Det er for at vi kan have det samlede antal.",  # Danish: for, at, have
        "Under alle omstændigheder er der to tilbage for at kunne sælge dem over for byen.",
        "Vi har to igjen for salg under markedet.",  # Norwegian
        "Ez is és az is igaz, most tehát összeadjuk.",  # Hungarian: is, most
        "To je to, co jsme chtěli, a to znamená konec.",  # Czech: to
        "El are de trei ori mai mult decât are ea.",  # Romanian: are
        "Is het even of is het oneven?",  # Dutch
        "So is die antwoord agtien of meer as dit.",  # Afrikaans
        "It is of it iene of it oare.",  # Frisian
        "Is est numerus at non totus.",  # Latin
        "Det er den der er dem alle man ser.",  # Danish, with German words
    ],
)
@pytest.mark.parametrize("language", sorted(_OWN))
def test_words_that_languages_share_do_not_make_a_sentence_plain(sentence: str, language: str) -> None:
    assert pieces_in_doubt(sentence, language) == [words_of(sentence)]


@pytest.mark.parametrize(("language", "least"), [("en", 0.6), ("de", 0.6)])
def test_no_real_sentence_of_another_language_is_plain(language: str, least: float, real_data: Path) -> None:
    own = []
    with gzip.open(real_data / "languages" / "sentences.jsonl.gz", "rt") as lines:
        rows = [
            row for row in map(json.loads, lines) if row["lang"] in ("en", "de", "fr", "es", "pt", "it", "nl", "pl")
        ]
    for row in rows:
        for piece in cut(only(prose(row["text"]), scripts_of(language))):
            is_plain = not pieces_in_doubt(piece, language)
            if row["lang"] == language:
                own.append(is_plain)
            else:
                assert not is_plain, (row["lang"], piece)
    assert sum(own) > least * len(own)
