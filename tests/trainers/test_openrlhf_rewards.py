"""Rewards as OpenRLHF calls them."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.trainers import openrlhf_rewards
from tracemill.trainers.openrlhf_rewards import openrlhf_reward, openrlhf_row
from tracemill.trainers.rewards import Rewards, Weights, prompt_of

ASKED = "How many eggs are left when the ducks have laid sixteen of them and three were eaten by the farmer?"
RIGHT = "<think>16 - 3 = 13</think><answer>13</answer>"
SHOWN = "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"


def asked(reward: Any, text: str, reference: str = "13") -> Any:
    row = openrlhf_row(prompt_of(ASKED, reference, "math"), SHOWN)
    return reward([SHOWN + text], [row["input"]], [row["label"]])


def test_a_reward_func_gets_one_text_with_its_prompt_and_end() -> None:
    reward = openrlhf_reward(Rewards(), end="<|im_end|>")
    assert asked(reward, RIGHT + "<|im_end|>") == {
        "rewards": 2,
        "scores": 1,
        "extra_logs": {"accuracy": 1, "format": 1, "undecided": 0},
    }
    assert asked(reward, RIGHT.replace("13<", "12<"))["rewards"] == 1
    undecided = asked(reward, RIGHT, reference="")
    assert undecided["rewards"] == 1.5  # the mean of those before
    assert undecided["extra_logs"] == {"accuracy": 0, "format": 1, "undecided": 1}
    with pytest.raises(ValueError, match="does not begin with its prompt"):
        reward(["something else"], [SHOWN], ["{}"])


def test_length_needs_the_tokens() -> None:
    with pytest.raises(InputError, match=r"^rewards.length: needs openrlhf_executor"):
        openrlhf_reward(Rewards(Weights(length=1), max_tokens=100, margin=20), end="")


def test_the_file_works_where_openrlhf_loads_it_by_path() -> None:
    spec = importlib.util.spec_from_file_location("agent_module", inspect.getfile(openrlhf_rewards))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert asked(module.openrlhf_reward(Rewards(), end=""), RIGHT)["rewards"] == 2
    assert not hasattr(module, "AgentLoop")
