"""Rows of chat turns."""

from __future__ import annotations

from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.factory.chat import Chat
from tracemill.factory.layouts import Common, Recorded

ASKED = {"role": "user", "content": "6 * 7?"}
SAID = {"role": "assistant", "content": "<think>\nSix sevens.\n</think>\n\n42"}
FOUND = Recorded(SAID["content"], model="m")
COMMON = Common("file", "prompts[0]")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [ASKED], "completion": [SAID], "model": "m"},
        {"messages": [{"role": "system", "content": "Think."}, ASKED, SAID], "model": "m", "prompt": "6 * 7?"},
        {
            "conversations": [{"from": "human", "value": "6 * 7?"}, {"from": "gpt", "value": SAID["content"]}],
            "model": "m",
        },
    ],
)
def test_turns_are_a_question_and_an_answer(row: dict[str, Any]) -> None:
    found = Chat().row({**row, "reference": "42", "verifier": "math"}, "file row 1", COMMON)
    assert found.completions == (FOUND,)
    assert (found.prompt.text, found.prompt.reference, found.prompt.verifier) == ("6 * 7?", "42", "math")
    bare = Chat().row(row, "file row 1", COMMON)
    assert (bare.prompt.reference, bare.prompt.verifier, bare.prompt.domain) == ("", "format", "general")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_a_chain_in_a_field_of_its_own_is_read(field: str) -> None:
    row = {"messages": [ASKED, {"role": "assistant", field: "Six sevens.", "content": "42"}]}
    assert Chat().row(row, "p", COMMON).completions == (Recorded("42", "Six sevens."),)


def test_the_rows_own_model_comes_first() -> None:
    row = {"prompt": [ASKED], "completion": [SAID]}
    common = Common("file", "prompts[0]", model="told")
    assert [Chat().row(row | more, "p", common).completions[0].model for more in ({}, {"model": "own"})] == [
        "told",
        "own",
    ]


def test_longer_talk_is_passed_over() -> None:
    assert Chat().row({"messages": [ASKED, SAID, ASKED]}, "p", COMMON).passed_over


@pytest.mark.parametrize("row", [{"prompt": "6 * 7?", "completion": "42"}, {"text": "42"}, {"messages": "42"}])
def test_what_is_no_chat_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^p: "):
        Chat().row(row, "p", COMMON)
