"""Rows: tokens that decode to what was kept, labels on the completion alone, and a count of what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.ids import prompt_id
from tracemill.core.types import Item, Prompt, Trace
from tracemill.trainers.rewards import Rewards, Weights
from tracemill.trainers.rows import SCHEMAS, Rows, save
from tracemill.trainers.scratch import Shape, make
from tracemill.trainers.text import Text
from tracemill.verifiers.judging import unsampled_trace

QUESTION = "What is 2 + 2?"
ASKED = Prompt(prompt_id(QUESTION, "math", "4"), QUESTION, "math", "math", "4", "test", {"level": 1})


def traced(reasoning: str, answer: str = "4") -> Trace:
    return unsampled_trace(ASKED, answer, reasoning, (), "native")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    folder = tmp_path_factory.mktemp("rows") / "model"
    make(folder, Shape(layers=1, width=16, heads=2))
    return Text.of(str(folder), "native")


def loaded(rows: Any, method: Any, folder: Path) -> list[dict[str, Any]]:
    """As the trainer gets them."""
    from datasets import load_from_disk

    save(rows, SCHEMAS[method], folder / "data")
    return list(load_from_disk(str(folder / "data")))


def test_labels_are_the_completion_and_nothing_of_the_prompt(text: Text, tmp_path: Path) -> None:
    rows = Rows(text, max_length=100)
    (row,) = loaded(rows.sft([Item(ASKED, traced("Two and two."))]), "sft", tmp_path)
    shown = f"{QUESTION}\n"
    written = "<think>\nTwo and two.\n</think>\n\n4<end>"
    assert text.tokenizer.decode(row["input_ids"]) == shown + written
    assert row["labels"][: len(shown)] == [-100] * len(shown)
    assert text.tokenizer.decode(row["labels"][len(shown) :]) == written
    assert row["labels"][len(shown) :] == row["input_ids"][len(shown) :]
    assert (rows.made, rows.too_long, rows.tokens) == (1, 0, len(row["input_ids"]))
    assert rows.longest == len(row["input_ids"])


def test_what_is_too_long_is_left_out_whole_and_counted(text: Text, tmp_path: Path) -> None:
    rows = Rows(text, max_length=40)
    traces = [traced(letter * count) for letter, count in (("a", 10), ("b", 50), ("c", 11), ("d", 60))]
    found = loaded(rows.sft(Item(ASKED, one) for one in traces), "sft", tmp_path)
    assert ["aaaa" in text.tokenizer.decode(row["input_ids"]) for row in found] == [True, False]
    assert (rows.made, rows.too_long, rows.longest) == (2, 2, 15 + 1 + 1 + 60 + 1 + 1 + 2 + 1 + 1)
    assert max(len(row["input_ids"]) for row in found) <= 40


def test_pairs_for_dpo_and_reward_models_share_their_prompt(text: Text, tmp_path: Path) -> None:
    pair = (ASKED, traced("Two and two."), traced("Three.", "5"))
    (row,) = loaded(Rows(text, 100).dpo([pair]), "dpo", tmp_path / "dpo")
    assert row == {
        "prompt": f"{QUESTION}\n",
        "chosen": "<think>\nTwo and two.\n</think>\n\n4<end>",
        "rejected": "<think>\nThree.\n</think>\n\n5<end>",
    }
    (ids,) = loaded(Rows(text, 100).reward([pair]), "reward", tmp_path / "reward")
    for name in ("chosen", "rejected"):
        assert text.tokenizer.decode(ids[f"{name}_ids"]) == row["prompt"] + row[name]
    rows = Rows(text, len(ids["chosen_ids"]) - 1)
    assert list(rows.dpo([pair])) == list(rows.reward([pair])) == []
    assert rows.too_long == 2


def test_questions_bring_what_judges_them(text: Text, tmp_path: Path) -> None:
    (row,) = loaded(Rows(text, 100).grpo([ASKED]), "grpo", tmp_path)
    assert row == {
        "prompt": f"{QUESTION}\n", "question": QUESTION, "reference": "4", "verifier": "math",
        "metadata": '{"level":1}',
    }  # fmt: skip


def test_what_the_token_limit_ended_is_left_out_and_counted(text: Text) -> None:
    whole, cut = traced("Two and two."), replace(traced("Two an"), finish_reason="length")
    rows = Rows(text, 100)
    assert len(list(rows.sft([Item(ASKED, whole), Item(ASKED, cut)]))) == 1
    assert len(list(rows.dpo([(ASKED, whole, cut), (ASKED, whole, whole)]))) == 1
    assert list(rows.reward([(ASKED, cut, whole)])) == []
    assert (rows.made, rows.too_long, rows.cut_off) == (2, 0, 3)


def test_what_broke_the_format_is_not_mended(text: Text) -> None:
    trace = unsampled_trace(ASKED, "", "Two and two", ("no_close_tag", "empty_answer"), "native")
    (row,) = Rows(text, 100).dpo([(ASKED, traced("Two."), trace)])
    assert row["rejected"] == "<think>\nTwo and two<end>"


def test_no_row_is_longer_than_the_models_window(text: Text) -> None:
    rows = Rows(replace(text, window=40), 32_768)
    assert len(list(rows.sft(Item(ASKED, traced("a" * count)) for count in (10, 50)))) == 1
    assert (rows.max_length, rows.too_long) == (40, 1)
    shown = len(text.tokenizer.encode(text.prompt(QUESTION)))
    for room, made in ((40 - shown, 1), (41 - shown, 0)):
        assert len(list(Rows(replace(text, window=40), 32_768, room).grpo([ASKED]))) == made


def test_questions_that_nothing_can_judge_are_left_out_and_counted(text: Text) -> None:
    asked = [replace(ASKED, reference=""), replace(ASKED, verifier="judge"), replace(ASKED, verifier="preference")]
    rows = Rows(text, 100)
    assert [row["verifier"] for row in rows.grpo([ASKED, *asked, replace(ASKED, verifier="format", reference="")])] == [
        "math", "format",
    ]  # fmt: skip
    assert (rows.made, rows.unjudged) == (2, 3)
    judged = Rows(text, 100, rewards=Rewards(Weights(preference=1), preference="folder"))
    assert len(list(judged.grpo(asked))) == 1


def test_rows_that_were_saved_halfway_are_saved_again(text: Text, tmp_path: Path) -> None:
    loaded(Rows(text, 100).grpo([ASKED]), "grpo", tmp_path)
    assert len(loaded(Rows(text, 100).grpo([ASKED, ASKED]), "grpo", tmp_path)) == 2
