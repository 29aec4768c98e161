"""Which letters an answer chooses, and that articles, pronouns, hedges and denials choose none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome
from tracemill.verifiers.options import LETTERS, options_of
from tracemill.verifiers.verdicts import Undecidable

CITIES = {"choices": ["Rome", "Oslo", "Paris", "Vitamin C"]}
R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED


def _judge(
    answer: str, reference: str = "C", metadata: dict[str, Any] | None = None, prompt: str = ""
) -> tuple[Outcome, str]:
    verdict = tracemill.verify("choice", answer, reference, prompt, metadata or {})
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        "C", "c", "(C)", "[C]", "C.", "C)", "(c).", "**C**", "**C**.", "**(C)**", "`C`", "$C$", "\\boxed{C}", "Ｃ",
        "\\boxed{\\text{C}}", "\\boxed{\\textbf{(C)}}", "$\\boxed{\\mathrm{C}}$", "The answer is C", "The answer is C.",
        "The correct answer is: (C)", "**Answer:** C", "Answer: **C**", "the answer is c", "The answer is option C.",
        "Option C", "option c", "Choice C.", "The correct option is C.", "I choose C.", "I would go with (C).",
        "It must be C.", "It's C.", "I think it is C", "I'd say C, because it is the largest.", "C) Paris", "(C) Paris.",
        "C. Paris", "C: Paris", "C - Paris", "C, Paris", "Paris", "paris.", "**Paris**", "The answer is Paris.",
        "\\boxed{\\text{Paris}}", "\\boxed{C) Paris}", "C\n\nParis has been the capital since 987.",
        "Paris is the capital.\n\n**C**", "Let me see.\nThe answer is (C) Paris.\n\nI hope that this helps.",
        "<answer>C</answer>", "<answer>\nThe answer is C.\n</answer>", "\\boxed{C}\nSo the answer is (C) Paris.", "#### C",
        "C because it is so", "The answer is found by looking at a map.\nThe answer is C.",
        "A) Rome is in Italy\nB) Oslo is in Norway\nC) Paris is in France\nThe answer is C.", "C. Paris\n\nRome is in Italy.",
    ],
)  # fmt: skip
def test_c_is_chosen(answer: str) -> None:
    assert _judge(answer, "C", CITIES) == (R, "equal")
    assert _judge(answer, "B", CITIES) == (W, "different")
    assert _judge(answer, "(C)", CITIES)[0] is R
    assert _judge(answer, "Paris", CITIES)[0] is R


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        ("", N, "no_answer"),
        ("A dog", N, "no_choice"),
        ("I think so", N, "no_choice"),
        ("I am sure that a map helps", N, "no_choice"),
        ("The answer is a mystery", N, "no_choice"),
        ("It is a C-shaped thing", N, "no_choice"),
        ("E", N, "no_choice"),
        ("(I)", N, "no_choice"),
        ("Madrid", N, "no_choice"),
        ("С", N, "no_choice"),  # Cyrillic
        ("A or C", N, "several_answers"),
        ("The answer is A or C", N, "several_answers"),
        ("A, C", N, "several_answers"),
        ("AC", N, "several_answers"),
        ("(A) and (C)", N, "several_answers"),
        ("\\boxed{A} \\boxed{C}", N, "several_answers"),
        ("The answer is A. The answer is C.", N, "several_answers"),
        ("The answer is C. Wait, it is B.", N, "several_answers"),
        ("<answer>C</answer> no, it's B", N, "several_answers"),
        ("A\nthen again\nC", N, "several_answers"),
        ("A) Rome\nB) Oslo\nC) Paris", N, "several_answers"),
        ("C) Oslo", N, "contradiction"),
        ("The answer is (A) Paris.", N, "contradiction"),
        ("\\boxed{C", N, "unclosed_box"),
        ("\\boxed{}", N, "empty_box"),
        ("Option C is wrong.", U, "negation"),
        ("It cannot be C.", U, "negation"),
        ("C) Madrid", U, "other_text"),
        ("It is Paris, of course", U, "mentions_option"),
        ("It is not Paris", U, "mentions_option"),
        ("Maybe it is Oslo, so it is C", U, "in_sentence"),
    ],
)
def test_what_is_no_choice_is_not_guessed(answer: str, outcome: Outcome, reason: str) -> None:
    assert _judge(answer, "C", CITIES) == (outcome, reason)


ANIMALS = {"choices": ["a dog", "a cat", "a cow", "a hen"]}


@pytest.mark.parametrize("metadata", [ANIMALS, {}], ids=["options", "letters"])
@pytest.mark.parametrize(
    "answer",
    [
        "I doubt it is B", "It is unlikely to be B", "The answer is anything but (B)", "Anything besides (B)", "Is it (B)?",
        "The opposite of (B)", "Avoid option B.", "It would be a mistake to choose B.", "I refuse to choose B.",
        "Option B is a common misconception.", "It is tempting to pick B.", "Students often choose B.", "Some say B",
        "Some say the answer is B.", "I doubt that the answer is B.", "If the answer is B, then so be it", "(B), some say",
        "(B) is a common misconception", "B, I doubt it", "**B** is a common misconception", "Perhaps it is B",
        "The answer is B. Hold on, let me recheck.", "Most people would say: option B",
    ],
)  # fmt: skip
def test_a_letter_is_not_chosen_by_being_named(answer: str, metadata: dict[str, Any]) -> None:
    assert _judge(answer, "B", metadata)[0] is U
    assert _judge(answer, "A", metadata)[0] is U


@pytest.mark.parametrize(
    "answer",
    [
        "Since it is not A, the answer is B.", "I think the answer is B", "So I would go with option B.", "Thus, B.",
        "It must be (B) because cats purr", "B is correct.", "Therefore, the correct option is B, a cat.",
        "It purrs. So option B is the best choice.", "Wait, let me think. The answer is B.",
        "The answer is B. Option A is wrong since dogs bark.", "I'm not sure, but I think the answer is B",
        "Final Answer: (B)\n\nNote that A might be tempting.", "**Final Answer:** B) a cat",
        "Based on the analysis, the final answer is (B).",
    ],
)  # fmt: skip
def test_a_sentence_that_only_chooses_is_read(answer: str) -> None:
    assert _judge(answer, "B", ANIMALS) == (R, "equal")
    assert _judge(answer, "A", ANIMALS) == (W, "different")


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        ("The answer is a dog. Wait, it is a cat.", N, "several_answers"),
        ("The answer is a dog. No, it's a cat.", N, "several_answers"),
        ("A\nWait, it is a cat", N, "several_answers"),
        ("The answer is a dog. Actually no.", U, "second_thought"),
        ("The answer is A. Wait, yes, the answer is A.", R, "equal"),
    ],
)
def test_an_answer_can_be_taken_back_in_words(answer: str, outcome: Outcome, reason: str) -> None:
    assert _judge(answer, "A", ANIMALS) == (outcome, reason)


@pytest.mark.parametrize("answer", ["42", "Paris", "A dog barked", "I like it", "vitamin C"])
def test_a_text_without_known_options_is_undecided(answer: str) -> None:
    assert _judge(answer, "C") == (U, "no_options")


@pytest.mark.parametrize("answer", ["A, C", "C, A", "AC", "CA", "A and C", "A & C", "(A), (C)", "A/C", "a, c", "A; C", "**A, C**", "\\boxed{A, C}", "Both A and C", "The answer is A and C.", "A,C"])  # fmt: skip
def test_several_letters_in_any_order(answer: str) -> None:
    for reference in ("A, C", "CA", "A and C", '["C", "A"]'):
        assert _judge(answer, reference) == (R, "equal")
    assert _judge(answer, "A, B")[0] is W
    assert _judge(answer, "A, B, C")[0] is W
    assert _judge("A", "A, C")[0] is W


@pytest.mark.parametrize("reference", ["", " ", "E", "Z", "Madrid", "AE", "[]", '["A", "E"]', "1", "[1]"])
@pytest.mark.parametrize("answer", ["C", "", "nonsense"])
def test_a_reference_that_is_no_option_is_found_whatever_the_answer_says(reference: str, answer: str) -> None:
    code = "bad_reference" if reference.strip() else "no_reference"
    assert _judge(answer, reference, CITIES) == (U, f"{code}: it is none of the options")


@pytest.mark.parametrize(
    "choices",
    [[], "Rome", 5, ["a"] * 11, ["a", ""], {"A": "a", "K": "b"}, {"label": ["1", "2"], "text": ["a", "b"]}, {"label": ["A"], "text": []}],
)  # fmt: skip
def test_choices_that_cannot_be_read_are_a_bad_reference(choices: Any) -> None:
    outcome, reason = _judge("A", "A", {"choices": choices})
    assert outcome is U
    assert reason.startswith("bad_reference: metadata.choices")


def test_texts_that_two_options_share_are_undecided() -> None:
    twins = {"choices": ["x", "Same", "same.", "y"]}
    assert _judge("same", "B", twins) == (U, "duplicate_options")
    assert _judge("C", "B", twins) == (U, "duplicate_options")
    assert _judge("B", "B", twins) == (R, "equal")
    assert _judge("A", "B", twins) == (W, "different")
    assert _judge("A", "same", twins) == (U, "bad_reference: several options say this")


def test_letters_as_option_texts() -> None:
    blood = {"choices": ["AB", "O", "A", "B"]}
    assert _judge("A", "C", blood) == (U, "letter_or_text")
    assert _judge("(A)", "A", blood) == (R, "equal")
    assert _judge("C) A", "C", blood) == (R, "equal")
    assert _judge("O", "B", blood) == (R, "equal")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Q?\nA) 1\nB) 2\nC) 3", {"A": "1", "B": "2", "C": "3"}),
        ("Q?\n(A) one two\n(B) three", {"A": "one two", "B": "three"}),
        ("Q?\n  A. x\n  B. y\nAnswer:", {"A": "x", "B": "y"}),
        ("Q?\n- A: x\n- B: y", {"A": "x", "B": "y"}),
        ("Q?\n**A.** x\n**B.** y", {"A": "x", "B": "y"}),
        ("Q?\n[A] x\n[B] y", {"A": "x", "B": "y"}),
        ("哪个？\nA：一\nB：二", {"A": "一", "B": "二"}),
        ("Which? (A) 1 (B) 2, (C) 3\nThink.", {"A": "1", "B": "2", "C": "3"}),
        ("A) 1  B) 2\nC) 3  D) 4", {"A": "1", "B": "2", "C": "3", "D": "4"}),
        ("Q1\nA. x\nB. y\nAnswer: B\n\nQ2\nA. p\nB. q", {"A": "p", "B": "q"}),
        ("A dog. B movies. I am.", {}),
        ("Q?\nA) 1\nC) 2", {}),
        ("", {}),
    ],
)
def test_options_are_read_from_the_prompt(text: str, options: dict[str, str]) -> None:
    assert options_of(text, {}) == options


@pytest.mark.parametrize(
    "choices",
    [["x", "y"], {"A": "x", "B": "y"}, {"a": "x", "b": "y"}, {"(A)": "x", "(B)": "y"}, {"label": ["A", "B"], "text": ["x", "y"]}, ["A) x", "B) y"]],
)  # fmt: skip
def test_options_are_read_from_metadata(choices: Any) -> None:
    assert options_of("Q?\nA) other\nB) things", {"choices": choices}) == {"A": "x", "B": "y"}


def test_an_empty_list_of_choices_is_no_list() -> None:
    with pytest.raises(Undecidable, match="choices"):
        options_of("", {"choices": []})


WORDS = st.lists(
    st.text("klmnopqrstuvwxyz", min_size=3, max_size=9), min_size=2, max_size=10, unique_by=lambda word: word
).filter(lambda words: not {"option", "answer", "not", "none", "nor", "wrong", "wait", "sorry"} & set(words))


@given(words=WORDS, data=st.data())
def test_every_layout_of_a_choice_says_the_same(words: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(words) - 1))
    other = data.draw(st.integers(0, len(words) - 1).filter(lambda drawn: drawn != index))
    letter, word = LETTERS[index], words[index]
    form = data.draw(st.sampled_from(["{l}", "({l})", "{l}.", "{l}) {w}", "({l}) {w}", "\\boxed{{{l}}}", "**{l}**", "The answer is {l}.", "{w}", "Option {l}", "{l}\n\nbecause of that"]))  # fmt: skip
    answer = form.format(l=letter, w=word)
    for metadata in ({"choices": words}, {"choices": dict(zip(LETTERS, words, strict=False))}):
        assert _judge(answer, letter, metadata) == (R, "equal"), answer
        assert _judge(answer, LETTERS[other], metadata) == (W, "different"), answer
    prompt = "Which?\n" + "\n".join(f"{name}) {text}" for name, text in zip(LETTERS, words, strict=False))
    assert _judge(answer, json.dumps([letter]), prompt=prompt) == (R, "equal"), answer


@given(st.text(max_size=60))
def test_no_text_without_a_letter_of_its_own_is_correct(text: str) -> None:
    if not any(char in "JjＪ" for char in text):
        assert _judge(text, "J")[0] is not R


@pytest.mark.parametrize(
    "piece", ["A, ", "A or ", "A and ", "is ", "(", "A) x\n", "answer is A ", "**", "\\text{", "ﷺ", "wait "]
)
def test_a_long_answer_takes_no_time(piece: str) -> None:
    """Some of these took for ever where a pattern could match them in many ways."""
    text = piece * (50_000 // len(piece)) + "x"
    for answer in (text, f"\\boxed{{{text}}}", f"The answer is {text}"):
        assert _judge(answer, "C", CITIES)[0] in (N, U)
