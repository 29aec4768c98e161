"""Each of IFEval's 25 instructions: followed, not followed, and where readers would differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome, Verdict
from tracemill.verifiers.instructions.registry import CHECKS
from tracemill.verifiers.instructions.wording import count_sentences, count_words, occurrences

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED
ENGLISH = "the old man walked slowly down the road and looked at the quiet houses on both sides of it"
GERMAN = "Der alte Mann ging langsam die Straße hinunter und sah sich die stillen Häuser auf beiden Seiten an."
REQUEST = "Write a haiku about rain."


def _judge(response: str, *instructions: tuple[str, dict[str, Any]]) -> Verdict:
    reference = {
        "instruction_id_list": [one for one, _ in instructions],
        "kwargs": [given for _, given in instructions],
    }
    return tracemill.verify("instruction", response, json.dumps(reference))


CASES: list[tuple[str, dict[str, Any], str, Outcome]] = [
    ("keywords:existence", {"keywords": ["rain", "sun"]}, "Sun and Rain!", R),
    ("keywords:existence", {"keywords": ["rain", "sun"]}, "Sun only", W),
    ("keywords:existence", {"keywords": ["war"]}, "software", U),
    ("keywords:existence", {"keywords": ["c++", "a.b"]}, "C++ and a.b", R),
    ("keywords:existence", {"keywords": ["a.b"]}, "aXb", W),
    ("keywords:existence", {"keywords": ["東京"]}, "私は東京に住む", R),
    ("keywords:existence", {"keywords": ["new york"]}, "in New\nYork", R),
    ("keywords:frequency", {"keyword": "go", "frequency": 2, "relation": "at least"}, "go, Go", R),
    ("keywords:frequency", {"keyword": "go", "frequency": 2, "relation": "at least"}, "go", W),
    ("keywords:frequency", {"keyword": "go", "frequency": 2, "relation": "at least"}, "go going", U),
    ("keywords:frequency", {"keyword": "go", "frequency": 2, "relation": "less than"}, "go", R),
    ("keywords:frequency", {"keyword": "go", "frequency": 2, "relation": "less than"}, "go go", W),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "roll"]}, "a rocket", R),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "roll"]}, "We ROCK.", W),
    ("keywords:forbidden_words", {"forbidden_words": ["rock("]}, "a rock", R),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 2, "let_relation": "less than"}, "Tea", R),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 2, "let_relation": "less than"}, "Tat", W),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "#a #b", R),
    ("language:response_language", {"language": "de"}, GERMAN, R),
    ("language:response_language", {"language": "fr"}, GERMAN, W),
    ("language:response_language", {"language": "kn"}, "ಹ್ಯಾಂಬರ್ಗರ್‌ಗಳು ಸ್ಯಾಂಡ್‌ವಿಚ್‌ಗಳಾಗಿವೆ ಎಂಬುದು ವಿವಾದಾತ್ಮಕ", R),
    ("language:response_language", {"language": "de"}, "12 + 30 = 42", U),
    ("length_constraints:number_words", {"num_words": 4, "relation": "at least"}, "one two three four", R),
    ("length_constraints:number_words", {"num_words": 4, "relation": "at least"}, "one * two - three", W),
    ("length_constraints:number_words", {"num_words": 4, "relation": "at least"}, "a well-known man", U),
    ("length_constraints:number_words", {"num_words": 4, "relation": "less than"}, "a well-known man", U),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "我是人吗", U),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "One. Two! Three?", R),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}, "Dr. No paid $3.50. He left.", R),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}, "It was 5 p.m. He left. So?", U),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "Only one.", W),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "一。二。三。", R),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n\n***\n\ntwo", R),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\none\n***\ntwo\n***", R),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one ***very bold*** word\n***\ntwo", R),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n\ntwo", W),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\n***\ntwo", W),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "rain"}, "a\n\n\n\n**Rain**, b", R),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "rain"}, "Rain a\n\nb", W),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "rain"}, "rain\n\nb\n\nc", W),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [city]", R),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] []", W),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], see [1] and [x](y)", U),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\n\n**P.S.** Vote!", R),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. P.S. Vote!", U),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.P.S. Vote!", W),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S.", W),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. Vote!", R),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.S. Vote!", W),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n* **b** c", R),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "- a\n\n---\n***\n- b", R),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "**bold line**\n* a\n* b\n-5 degrees *hot*", R),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n* b\n* c", W),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  * b", U),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "• a\n• b", U),
    ("detectable_format:constrained_response", {}, "My answer is yes.", R),
    ("detectable_format:constrained_response", {}, "Yes.", W),
    ("detectable_format:constrained_response", {}, "My answer is yes. My answer is no.", W),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a b* and **c**", R),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "* a *b*\n* c", W),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "****** ** **", W),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and _b_", U),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "2 * 3 * 4", U),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1\na\n## Section 2: b\nb", R),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1\na", W),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "see Section 1 and Section 2", U),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1\nSection 2\nSection 3", U),
    ("detectable_format:json_format", {}, '{"a": 1}', R),
    ("detectable_format:json_format", {}, '```json\n[1, {"a": null}]\n```', R),
    ("detectable_format:json_format", {}, 'Sure: {"a": 1}', W),
    ("detectable_format:json_format", {}, '{"a": NaN}', W),
    ("detectable_format:json_format", {}, '"a text"', U),
    ("detectable_format:json_format", {}, "[" * 100_000, U),
    ("detectable_format:title", {}, "<<A song>>\nla", R),
    ("detectable_format:title", {}, "<< >>", W),
    ("detectable_format:title", {}, "<A song>", W),
    ("combination:two_responses", {}, "a\n******\nb", R),
    ("combination:two_responses", {}, "******\na\n******\nb\n******", R),
    ("combination:two_responses", {}, "a\n******\nA ", W),
    ("combination:two_responses", {}, "a\n*******\nb", W),
    ("combination:two_responses", {}, "a ****** b ****** c", W),
    ("combination:repeat_prompt", {"prompt_to_repeat": REQUEST}, f"{REQUEST}\n\nDrops", R),
    ("combination:repeat_prompt", {"prompt_to_repeat": REQUEST}, REQUEST, W),
    ("combination:repeat_prompt", {"prompt_to_repeat": REQUEST}, f"Sure. {REQUEST}\n\nDrops", W),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, "Text. Any  questions?", R),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, '"Text. any questions?"', R),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, "Any questions? Ask.", W),
    ("startend:end_checker", {"end_phrase": "**Done.**"}, "All of it. **Done.**", R),
    ("startend:quotation", {}, '"All of it."', R),
    ("startend:quotation", {}, "“All of it.”", R),
    ("startend:quotation", {}, '"She said "well" to me."', R),
    ("startend:quotation", {}, '"', W),
    ("startend:quotation", {}, '"All" of it', W),
    ("startend:quotation", {}, '"Yes" is no "no"', U),
    ("change_case:english_capital", {}, ENGLISH.upper(), R),
    ("change_case:english_capital", {}, ENGLISH, W),
    ("change_case:english_capital", {}, GERMAN.upper(), W),
    ("change_case:english_capital", {}, "12", W),
    ("change_case:english_lowercase", {}, ENGLISH, R),
    ("change_case:english_lowercase", {}, ENGLISH.title(), W),
    ("change_case:english_lowercase", {}, GERMAN.lower(), W),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "NASA and COVID-19 a", R),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "NASA", W),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "I like NASA", U),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "WELL-KNOWN man", R),
    ("punctuation:no_comma", {}, "No stop here.", R),
    ("punctuation:no_comma", {}, "Well, yes.", W),
    ("punctuation:no_comma", {}, "你好，世界", W),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "response", "outcome"), CASES)
def test_an_instruction(name: str, arguments: dict[str, Any], response: str, outcome: Outcome) -> None:
    verdict = _judge(response, (name, arguments))
    assert verdict.outcome is outcome, verdict
    assert verdict.reason == {R: "followed", W: f"not_followed: {name}", U: f"unclear: {name}"}[outcome]
    assert verdict.score == {R: 1.0, W: 0.0, U: None}[outcome]


def test_every_instruction_is_tried_both_ways() -> None:
    assert len(CHECKS) == 25
    for outcome in (R, W):
        assert {name for name, _, _, expected in CASES if expected is outcome} == set(CHECKS)


def test_the_score_is_the_share_that_holds() -> None:
    none: dict[str, Any] = {}
    comma, title = ("punctuation:no_comma", none), ("detectable_format:title", none)
    unclear = ("keywords:existence", {"keywords": ["war"]})
    verdict = _judge("<<a>>, software", comma, title, unclear)
    assert (verdict.outcome, verdict.reason, verdict.score) == (W, "not_followed: punctuation:no_comma", 1 / 3)
    verdict = _judge("software, a", comma, title, comma)
    assert verdict.reason == "not_followed: punctuation:no_comma, detectable_format:title"
    assert _judge("<<a>> software", comma, title, unclear).reason == "unclear: keywords:existence"


def test_a_row_of_ifeval_works_as_it_is() -> None:
    row = {"key": 1, "prompt": "x", "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"]}
    kwargs = [{"num_words": None, "relation": None}, {"num_words": 3.0, "relation": "less than", "keywords": None}]
    assert tracemill.verify("instruction", "a b", json.dumps({**row, "kwargs": kwargs})).outcome is R
    assert tracemill.verify("instruction", "a b", "", metadata={**row, "kwargs": kwargs}).outcome is R
    assert tracemill.verify("instruction", "a b c", "", metadata={**row, "kwargs": kwargs}).outcome is W


def test_only_the_response_is_judged() -> None:
    reference = json.dumps({"instruction_id_list": ["punctuation:no_comma"]})
    assert tracemill.verify("instruction", "<think>\nwell, well\n</think>\nfine", reference).outcome is R
    assert tracemill.verify("instruction", "Well, <answer>fine</answer>", reference).outcome is R
    assert tracemill.verify("instruction", "<think>\nfine\n</think>\nwell, well", reference).outcome is W
    assert tracemill.verify("instruction", "<think>\nfine\n</think>", reference).reason == "no_answer"


@pytest.mark.parametrize("response", ["fine", ""])
@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ("{", "not JSON"),
        ("[]", "instruction_id_list is missing"),
        ("{}", "instruction_id_list is missing"),
        ('{"instruction_id_list": []}', "instruction_id_list must be a list of ids"),
        ('{"instruction_id_list": [1]}', "instruction_id_list must be a list of ids"),
        ('{"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}', "kwargs must be a list as long"),
        (
            '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [5]}',
            "arguments of punctuation:no_comma must be",
        ),
        ('{"instruction_id_list": ["punctuation:no_dots"]}', "unknown instruction 'punctuation:no_dots'"),
        ('{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"a": 1}]}', "has no argument 'a'"),
    ],
)
def test_a_bad_row_is_found_whatever_the_response_says(reference: str, detail: str, response: str) -> None:
    verdict = tracemill.verify("instruction", response, reference)
    assert verdict.outcome is U
    assert verdict.reason.startswith("bad_reference: ")
    assert detail in verdict.reason


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("keywords:existence", {"keywords": []}),
        ("keywords:existence", {"keywords": "rain"}),
        ("keywords:existence", {"keywords": [" "]}),
        ("keywords:frequency", {"keyword": "a", "frequency": -1, "relation": "at least"}),
        ("keywords:frequency", {"keyword": "a", "frequency": 1, "relation": "about"}),
        ("keywords:frequency", {"keyword": "a", "frequency": 1.5, "relation": "at least"}),
        ("keywords:frequency", {"keyword": "a", "frequency": True, "relation": "at least"}),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}),
        ("language:response_language", {"language": "Klingon"}),
        ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"}),
        ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "***"}),
        ("startend:end_checker", {"end_phrase": "***"}),
        ("startend:end_checker", {"end_phrase": '"__"'}),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 0}),
        ("length_constraints:number_words", {"num_words": float("inf"), "relation": "at least"}),
    ],
)
def test_an_argument_of_another_kind_is_a_bad_reference(name: str, arguments: dict[str, Any]) -> None:
    assert _judge("fine", (name, arguments)).reason.startswith(f"bad_reference: {name}")


def test_a_missing_argument_is_a_bad_reference() -> None:
    for name, arguments, _, _ in CASES:
        for missing in arguments:
            rest = {key: value for key, value in arguments.items() if key != missing}
            assert _judge("fine", (name, rest)).reason == f"bad_reference: {name} needs {missing}"


@given(st.text(max_size=200))
def test_the_least_count_is_not_above_the_most(text: str) -> None:
    for least, most in (count_words(text), count_sentences(text), occurrences("a", text)):
        assert 0 <= least <= most


@given(st.lists(st.sampled_from(["Rain falls.", "Who goes?", "Run!", "We have 3.5 of it."]), min_size=1, max_size=9))
def test_plain_sentences_are_counted(sentences: list[str]) -> None:
    assert count_sentences(" ".join(sentences)) == (len(sentences), len(sentences))


@given(st.integers(1, 60), st.integers(1, 60))
def test_plain_words_are_counted(number: int, limit: int) -> None:
    held = _judge("word " * number, ("length_constraints:number_words", {"num_words": limit, "relation": "less than"}))
    assert held.outcome is (R if number < limit else W)


@given(st.text(max_size=80))
def test_no_response_breaks_a_check(text: str) -> None:
    for name, arguments, _, _ in CASES[::3]:
        assert not _judge(text, (name, arguments)).reason.startswith("error")


@pytest.mark.parametrize(
    "piece", ["*", "<<", ". ", ".", "***\n", "[", "_a", " \n", "```\n", "P.S ", "Mr. ", "U.", "- ", '"', "a'"]
)
def test_a_long_response_takes_no_time(piece: str) -> None:
    """Each of these took minutes where a pattern could match it in many ways."""
    response = piece * (60_000 // len(piece)) + "x"
    for name, arguments, _, _ in CASES[::2]:
        assert _judge(response, (name, arguments)).outcome is not N
