"""Numbers and formulas, as two wordings of one question have them in common."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.filters.quantities import SIGNS, agreement, computed, quantities


def test_a_chain_computes_its_numbers_in_their_order_and_list_markers_are_none() -> None:
    chain = "1. Sell 1,250 at 0.50 each.\n  2) That is 625.0.\n**Step 3:** Add 7\nStep 4. So 632 in 2024.\n5.5 is left."
    assert computed(chain) == ["1250", "0.5", "625", "7", "632", "2024", "5.5"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Twenty hens lay 1,000 eggs in three days, and 3 are broken", ["20", "1000", "3", "3"]),
        ("one and a half dozen; second; a third; often; tenth; fortyish", []),
        ("it is 7.50 or 7.5, not 75", ["7.5", "7.5", "75"]),
        ("points (2,3), (12,345)", ["2", "3", "12345"]),
    ],
)
def test_numbers_are_read_in_digits_and_words(text: str, numbers: list[str]) -> None:
    assert quantities(text).numbers == Counter(numbers)


@pytest.mark.parametrize(
    "text", ["It costs $5, and the other $6 more than $x", "He has $14$ hens, $a$ of them white.", r"about \$3 and 5\%"]
)
def test_money_and_single_signs_are_no_formulas(text: str) -> None:
    assert not quantities(text).signs


@pytest.mark.parametrize("opening", [r"$x+1$", r"\(x+1\)", r"\[x + 1\]", r"$$x+1$$", "\\begin{align*}x+1\\end{align*}"])
def test_formulas_are_read_in_any_delimiters(opening: str) -> None:
    signs = quantities(f"Find {opening} now.").signs
    assert signs[("x", "+")] == signs[("+", "1")] == 1


def test_two_problems_on_vectors_have_other_signs_side_by_side() -> None:
    one = r"Find the cross product of $\begin{pmatrix} 2 \\ 0 \\ 3 \end{pmatrix}$ and $\begin{pmatrix} 5 \\ -1 \\ 7 \end{pmatrix}.$"
    again = r"Let $\begin{pmatrix} 2 \\ 0 \\ 3 \end{pmatrix}$ and $\begin{pmatrix} 5 \\ -1 \\ 7 \end{pmatrix}$ be given. What is their cross product?"
    other = r"Find the cross product of $\begin{pmatrix} 3 \\ 5 \\ 0 \end{pmatrix}$ and $\begin{pmatrix} -7 \\ 1 \\ 2 \end{pmatrix}.$"
    assert agreement(quantities(one).signs, quantities(again).signs) == 1
    assert agreement(quantities(one).signs, quantities(other).signs) < SIGNS


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_agreement_is_the_jaccard_of_multisets(one: list[str], other: list[str]) -> None:
    elements = {(value, n) for value in one for n in range(one.count(value))}
    others = {(value, n) for value in other for n in range(other.count(value))}
    either = elements | others
    expected = len(elements & others) / len(either) if either else 1.0
    assert agreement(Counter(one), Counter(other)) == pytest.approx(expected)
