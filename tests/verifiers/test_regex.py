"""Patterns match all of the final answer, in a process that can be killed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracemill
from tracemill.core.types import Outcome, Prompt, Trace
from tracemill.verifiers.judging import judge
from tracemill.verifiers.regex import LONGEST, LONGEST_PATTERN, Regex

R, W, N, U = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("answer", "pattern", "outcome", "reason"),
    [
        ("abc", "[a-c]+", R, "match"),
        (" abc\n", "[a-c]+", R, "match"),
        ("\\boxed{12}", r"\d+", R, "match"),
        ("<answer>a b</answer>", r"\w \w", R, "match"),
        ("ABC", "(?i)abc", R, "match"),
        ("one\ntwo", "one\ntwo", R, "match"),
        ("Straße", r"\w+", R, "match"),
        ("abc!", "[a-c]+", W, "no_match"),
        ("one\ntwo", "one", W, "no_match"),
        ("Not 42. \\boxed{41}", "(?s).*42.*", W, "no_match"),
        ("The answer is Dr. Smith", "Dr. Smith", U, "in_prose"),
        ("<answer>abc</answer> no, wait", "abc", N, "several_answers"),
        ("The answer is 12. Wait, 13.", r"\d+", N, "several_answers"),
        ("The answer is ab. Actually cd.", "[a-d]+", U, "second_thought"),
        ("\\boxed{1} \\boxed{2}", r"\d", N, "several_answers"),
        ("\\boxed{1", r"\d", N, "unclosed_box"),
        ("\\boxed{}", ".*", N, "empty_box"),
        ("", ".*", N, "no_answer"),
        ("x" * (LONGEST + 1), "x*", U, "too_long"),
        ("a" * 80 + "!", "(a|a)*b", U, "time_limit"),
        ("x" * 5000, "(.*)*(.*)*(.*)*y", U, "time_limit"),
    ],
)
def test_a_pattern_judges_the_final_answer(answer: str, pattern: str, outcome: Outcome, reason: str) -> None:
    verdict = tracemill.verify("regex", answer, pattern)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize("answer", ["abc", ""])
@pytest.mark.parametrize("pattern", ["", " ", "(", "[", "*", "a{2,1}", "(?P<1>a)", "\\", "(?<=a*)b", "a" * (LONGEST_PATTERN + 1), "a{99999999999999999999}"])  # fmt: skip
def test_a_bad_pattern_is_found_whatever_the_answer_says(answer: str, pattern: str) -> None:
    verdict = tracemill.verify("regex", answer, pattern)
    assert verdict.outcome is U
    assert verdict.reason.startswith("bad_reference: " if pattern.strip() else "no_reference: ")


def test_search_takes_a_part_of_the_final_answer(make_case: Callable[..., tuple[Prompt, Trace]]) -> None:
    def judged(answer: str) -> Outcome:
        (verdict,) = judge(*make_case(answer, "4.2"), (Regex(search=True),))
        return verdict.outcome

    assert judged("it is 402 of them") is R
    assert judged("402. \\boxed{41}") is W


@settings(max_examples=30)
@given(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20))
def test_a_word_matches_itself_and_not_itself_twice(word: str) -> None:
    assert tracemill.verify("regex", f"\\boxed{{{word}}}", word).outcome is R
    assert tracemill.verify("regex", f"\\boxed{{{word}{word}}}", word).outcome is W
