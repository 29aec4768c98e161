"""Decoys for a judge: another answer in the same kind of text, by rules that are not ours to bend (`math`, `exact`)."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.core.types import Outcome
from tracemill.verifiers.decoy import decoy
from tracemill.verifiers.judging import verify_answer

SEEDS = [f"{number:x}" for number in range(30)]


def outcome(name: str, reference: str, other: str) -> Outcome:
    return verify_answer(name, f"\\boxed{{{other}}}", reference, "", {}).outcome


@pytest.mark.parametrize(
    ("reference", "shape"),
    [
        (r"\frac{5}{5}", r"\\frac\{\d\}\{\d\}"),
        (r"\frac{12}{5}", r"\\frac\{\d\d\}\{\d\}"),
        ("0.5", r"0\.\d"),
        ("10 cm", r"\d\d cm"),
        ("x=5", r"x=\d"),
        ("½", "[⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"),
        ("٣٤", r"[\u0660-\u0669]{2}"),
        ("yes", "no"),
        (r"\text{even}", r"\\text\{odd\}"),
        ("Tuesday", "[A-Z][a-z]+day"),
        ("B", "[ACDE]"),
        ("AC", "[A-E]{2}"),
        ("Paris, 1789", r"[A-Z][a-z]+, \d{4}"),
        ("Москва", "[А-Я][а-я]+"),
        ("北京", r"[\u4e00-\u9fff]{2}"),
        ("नई दिल्ली", r"[\u0900-\u097f]+ [\u0900-\u097f]+"),
        (r"\begin{pmatrix}1\\0\end{pmatrix}", r"\\begin\{pmatrix\}\d\\\\\d\\end\{pmatrix\}"),
        (r"\pi", r"\d\\pi"),
        ("∞", r"\d{4}"),
        (r"\infty", r"\d{4}"),
        ("The sky is blue, for short waves scatter.", r"The sky is [a-z]+, for [a-z]+ [a-z]+ [a-z]+\."),
    ],
)
def test_a_decoy_is_the_same_kind_of_text_with_another_answer(reference: str, shape: str) -> None:
    for seed in SEEDS:
        other = decoy(reference, seed)
        assert re.fullmatch(shape, other), other
        assert other != reference
        assert outcome("exact", reference, other) is Outcome.WRONG
        assert outcome("math", reference, other) is not Outcome.CORRECT
    assert decoy(reference, "7") == decoy(reference, "7")


def test_equal_digits_do_not_become_equal_digits() -> None:
    """One shift for all made 7=7 of 3=3: a right answer then fits the decoy too."""
    for seed in SEEDS:
        left, right = decoy("3=3", seed).split("=")
        assert left != right
        assert outcome("math", r"\frac{5}{5}", decoy(r"\frac{5}{5}", seed)) is Outcome.WRONG
    turned = {
        tuple((int(new) - int(old)) % 10 for old, new in zip("123", decoy("123", seed), strict=True)) for seed in SEEDS
    }
    assert len(turned) > 20, "each digit by itself"
    assert len({decoy("Einstein", seed) for seed in SEEDS}) > 5


@given(st.text(min_size=1, max_size=40), st.integers(0, 2**128 - 1))
def test_a_decoy_is_never_the_reference(reference: str, number: int) -> None:
    other = decoy(reference, f"{number:x}")
    assert other != reference
    assert outcome("exact", reference, other) is not Outcome.CORRECT


def test_decoys_of_real_references_are_wrong(real_data: Path) -> None:
    with gzip.open(real_data / "prompts" / "math500.jsonl.gz", "rt") as lines:
        references = [str(json.loads(line)["answer"]) for line in lines][:150]
    said = [outcome("math", one, decoy(one, "7")) for one in references]
    assert Outcome.CORRECT not in said
    assert said.count(Outcome.WRONG) > 0.9 * len(said)
