"""Rewards as TRL calls them."""

from __future__ import annotations

import json

from tracemill.trainers.rewards import R1, Rewards, prompt_of
from tracemill.trainers.trl_rewards import rl_row, trl_reward

ASKED = "How many eggs are left when the ducks have laid sixteen of them and three were eaten by the farmer?"
CHAIN = "The ducks have laid sixteen eggs, and three of these were eaten, so that thirteen of them are left over."
RIGHT = f"<think>{CHAIN}</think><answer>13</answer>"


def test_trl_calls_it_with_columns_and_gets_components_logged() -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(Rewards(R1))
    found = reward(
        prompts=["", "", ""],
        completions=[RIGHT, [{"role": "assistant", "content": RIGHT.replace("13<", "12<")}], RIGHT],
        completion_ids=[[1], [1, 2], [1]],
        question=[ASKED] * 3,
        reference=["13", "13", ""],
        verifier=["math"] * 3,
        metadata=["{}"] * 3,
        trainer_state=None,
        log_metric=logged.__setitem__,
    )
    assert found == [3, 2, None]
    assert logged == {"rewards/accuracy": 0.5, "rewards/format": 1, "rewards/language": 1, "rewards/undecided": 1 / 3}


def test_a_completion_at_the_limit_is_cut_off_unless_it_ended_there() -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(Rewards(max_tokens=3), ends=[7], stops=["</answer>"])
    columns = {"question": [ASKED] * 4, "reference": ["13"] * 4, "verifier": ["math"] * 4, "metadata": ["{}"] * 4}
    texts = [RIGHT, RIGHT.removesuffix("</answer>"), RIGHT.removesuffix("</answer>"), RIGHT.removesuffix("</answer>")]
    ids = [[1, 2, 3], [1, 2, 3], [1, 2, 7], [1, 2]]
    reward(completions=texts, completion_ids=ids, log_metric=logged.__setitem__, **columns)
    assert logged["rewards/cut_off"] == 0.25


def test_a_row_brings_what_its_verifier_needs() -> None:
    prompt = prompt_of("Which letter?", "B", "choice", json.dumps({"options": ["a", "b"], "é": 1}))
    row = rl_row(prompt, "Which letter?\n")
    columns = {name: [value] for name, value in row.items() if name != "prompt"}
    assert prompt_of(*(column[0] for column in columns.values())) == prompt
    reward = trl_reward(Rewards(thinking="native"))
    texts = ["<think>x</think>B", "<think>x</think>A"]
    assert [reward(completions=[text], completion_ids=[[1]], **columns) for text in texts] == [[2.0], [1.0]]


def test_a_chain_that_the_tokenizer_took_out_of_the_content_counts() -> None:
    turn = {"role": "assistant", "reasoning_content": CHAIN, "content": "<answer>13</answer>"}
    columns = {"question": [ASKED], "reference": ["13"], "verifier": ["math"], "metadata": ["{}"]}
    for prefill in ("", "<think>\n"):
        reward = trl_reward(Rewards(prefill=prefill))
        assert reward(completions=[[turn]], completion_ids=[[1]], **columns) == [2]
