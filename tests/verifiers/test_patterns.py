"""ECMA's regular expressions mean the same in Python; where Python cannot say it, nothing is guessed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.patterns import NotTranslated, python_pattern


@pytest.mark.parametrize(
    ("pattern", "matched", "refused"),
    [
        ("^[0-9]+$", ["12"], ["12\n"]),
        (r"^\d+$", ["12"], ["١٢", "12\n"]),
        (r"^[\d\-]+$", ["1-2"], ["١"]),
        (r"^\w+$", ["a_1"], ["é"]),
        (r"^[^\W_]+$", ["a1"], ["a_", "é"]),
        (r"^\D$", ["١", "x"], ["1"]),
        (r"^\S+$", ["ab"], ["a\u00a0b", "a b"]),
        (r"^\s$", ["\ufeff", "\u00a0"], ["x", "\x1c"]),
        (r"^[\S]$", ["x"], ["\u3000"]),
        ("^a.b$", ["axb"], ["a\rb", "a\nb", "a\u2028b"]),
        (r"^(?<y>\d)\k<y>$", ["11"], ["12"]),
        (r"^\u{1F600}$", ["😀"], ["x"]),
        (r"^\uD83D\uDE00$", ["😀"], ["x"]),
        (r"^\u0041$", ["A"], ["a"]),
        (r"^\cJ\0$", ["\n\0"], ["x"]),
        ("^[]$", [], ["", "]"]),
        ("^[^]$", ["x", "\n"], [""]),
        ("^[[&&a]+$", ["[&a"], ["b"]),
        ("[$.]", ["$", "."], ["a"]),
        ("^[(?i)]+$", ["(?i)"], ["x"]),
        (r"\bfoo\b", ["éfoo"], ["xfoo"]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^\$5$", ["$5"], ["5"]),
        (r"^\\$", ["\\"], ["\\\n"]),
        ("(?i)^abc$", ["ABC"], ["ABC\n"]),
        ("^(?=a)a(?!b)$", ["a"], ["b"]),
        ("(?<=x)a", ["xa"], ["a"]),
    ],
)
def test_a_pattern_matches_what_ecma_matches(pattern: str, matched: list[str], refused: list[str]) -> None:
    compiled = re.compile(python_pattern(pattern))
    assert [text for text in matched if not compiled.search(text)] == []
    assert [text for text in refused if compiled.search(text)] == []


@pytest.mark.parametrize("pattern", ["(?m)^a$", "(?s).", "(?x) a", "a(?i)b", "(?s:.)", r"\u{110000}"])
def test_what_python_cannot_say_is_refused(pattern: str) -> None:
    with pytest.raises(NotTranslated):
        python_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a\\", "[a", "(", r"\p{L}"])
def test_what_does_not_compile_still_does_not(pattern: str) -> None:
    with pytest.raises(re.error):
        re.compile(python_pattern(pattern))


@given(st.text(max_size=20))
def test_a_text_without_signs_is_itself(text: str) -> None:
    assert re.fullmatch(python_pattern(re.escape(text)), text)
