"""Which text counts as the final answer, and when there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.verifiers.extraction import extract


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", "42"),
        ("  42\n", "42"),
        ("So \\boxed{\\frac{1}{2}} it is", "\\frac{1}{2}"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\fbox{3}", "3"),
        ("\\boxed 7", "7"),
        ("\\boxed{5}, that is \\boxed{5.}", "5."),
        ("\\boxed{\\boxed{5}}", "\\boxed{5}"),
        ("first 3, then\n#### 1,234", "1,234"),
        ("Some steps.\nThe final answer is 3.14.", "3.14"),
        ("**The answer is:** 12", "12"),
        ("Answer: $x = 5$", "$x = 5$"),
        ("The answer is 5, as required.", "5"),
        ("So the answer is 18 apples, as expected.", "18 apples"),
        ("The answer is 18, of course.", "18"),
        ("The answer is 1, 2 and 3.", "1, 2 and 3"),
        ("The answer is B. A is wrong, and there is no other choice.", "B"),
        ("\\boxed{5}, since there are no other roots.", "5"),
        ("answer = 2 * 3\n# The answer is 7\nSo, the final answer is 6.", "6"),
        ("The final answer is:\n17", "17"),
        ("The answer is 5!", "5!"),
        ("<answer>4</answer> that is <answer> 4 </answer>", "4"),
        ("<answer>\nThe answer is 4.\n</answer>", "4"),
        ("<answer>4", "4"),
        ("The answer is 4, boxed: \\boxed{5}", "5"),
        ("x = 2, 3", "x = 2, 3"),
        ("\\boxed{7}\n\nSo the answer is 7.", "7"),
        ("\\boxed{1,152}. The answer is 1152 cups.", "1,152"),
        ("#### 7\nThe answer is $7$.", "7"),
        ("\\boxed{8}\n\nThe squares up to 63 count, but 64 is not valid.", "8"),
        ("<answer>5</answer> I hope this helps!", "5"),
        ("<answer>5</answer>\nThe answer is 5.", "5"),
    ],
)
def test_the_answer_is_found(text: str, expected: str) -> None:
    assert extract(text).text == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_answer"),
        (" \n ", "no_answer"),
        ("<answer></answer>", "no_answer"),
        ("12 and then\nsome more prose", "no_answer"),
        ("word " * 100, "no_answer"),
        ("It is 12. \\boxed{}", "empty_box"),
        ("\\boxed{ $ }", "empty_box"),
        ("\\boxed{12} \\boxed{}", "empty_box"),
        ("\\boxed{12", "unclosed_box"),
        ("\\boxed{12} so \\boxed{13", "unclosed_box"),
        ("\\boxed", "unclosed_box"),
        ("\\boxed{12} or \\boxed{13}", "several_answers"),
        ("#### 3\n#### 4", "several_answers"),
        ("####", "empty_box"),
        ("12 or 13", "several_answers"),
        ("The answer is 12 or 13.", "several_answers"),
        ("The answer is 5. The answer is 6.", "several_answers"),
        ("The final answer is 5. The answer is 6.", "several_answers"),
        ("The answer is 5. Wait, I made a mistake: it should be 6.", "several_answers"),
        ("The answer is 5. However, we must double it, so we get 10.", "several_answers"),
        ("The answer is Paris. No wait, London", "several_answers"),
        ("The answer is a dog. Wait, it is a cat.", "several_answers"),
        ("The final answer is 5. Hmm, no, it is 6.", "several_answers"),
        ("\\boxed{5} is wrong; the right value is 6.", "several_answers"),
        ("\\boxed{5}. Hmm, let me recheck. It should be 6.", "several_answers"),
        ("The final answer is 5. The final answer is 6.", "several_answers"),
        ("The answer is", "no_answer"),
        ("\\boxed{7}\n\nActually the answer is 8.", "several_answers"),
        ("\\boxed{7}\n\nThe answer is 17.", "several_answers"),
        ("\\boxed{7}\n\nWait, it must be 8.", "several_answers"),
        ("\\boxed{7}. The answer is not 7.", "several_answers"),
        ("#### 7\nThe answer is 8.", "several_answers"),
        ("<answer>5</answer>no, 6", "several_answers"),
        ("<answer>5</answer> 6", "several_answers"),
        ("<answer>5</answer> That is wrong.", "several_answers"),
        ("<answer>5</answer> The answer is x.", "several_answers"),
        ("<answer>5</answer> \\boxed{6}", "several_answers"),
    ],
)
def test_no_answer_has_a_reason(text: str, reason: str) -> None:
    found = extract(text)
    assert (found.text, found.reason) == (None, reason)


@given(
    st.text(st.characters(), max_size=200)
    | st.lists(
        st.sampled_from(
            ["\\boxed", "{", "}", "\\", "<answer>", "</answer>", "####", "answer is", "\n", "5", " or ", "$"]
        )
    ).map("".join)
)
def test_extraction_never_raises_and_says_one_or_the_other(text: str) -> None:
    found = extract(text)
    assert (found.text is None) == bool(found.reason)
    if found.text is not None:
        assert found.text.strip() == found.text
        assert found.text in text


@given(st.text("0123456789+-x{}", min_size=1, max_size=20).filter(lambda t: _balanced(t)))
def test_a_box_gives_back_what_was_put_in(inner: str) -> None:
    assert extract(f"We find 17. \\boxed{{{inner}}}").text == inner


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
