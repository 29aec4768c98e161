"""Rewards as verl calls them."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.trainers import verl_rewards
from tracemill.trainers.rewards import R1, Rewards, Weights, prompt_of
from tracemill.trainers.verl_rewards import UNDECIDED, verl_reward, verl_row

ASKED = "How many eggs are left when the ducks have laid sixteen of them and three were eaten by the farmer?"
CHAIN = "The ducks have laid sixteen eggs, and three of these were eaten, so that thirteen of them are left over."
RIGHT = f"<think>{CHAIN}</think><answer>13</answer>"
ROW = verl_row(prompt_of(ASKED, "13", "math"), [{"role": "user", "content": ASKED}])


def scored(score: Callable[..., dict[str, Any]], text: str, reference: str = "13", **told: Any) -> dict[str, Any]:
    return score(
        data_source=ROW["data_source"],
        solution_str=text,
        ground_truth=reference,
        extra_info=ROW["extra_info"] | {"num_turns": None, "rollout_reward_scores": {}} | told,
    )


def test_the_file_works_where_verl_loads_it_by_path() -> None:
    spec = importlib.util.spec_from_file_location("custom_module", inspect.getfile(verl_rewards))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert scored(module.compute_score, RIGHT) == {"score": 2, "undecided": 0, "accuracy": 1, "format": 1}
    assert scored(module.compute_score, RIGHT.replace("13<", "12<"))["score"] == 1


def test_what_cannot_be_judged_has_a_score_that_no_reward_has() -> None:
    found = scored(verl_rewards.compute_score, RIGHT, reference="")
    assert found == {"score": UNDECIDED, "undecided": 1, "accuracy": None, "format": 1}
    assert 0 < UNDECIDED < 1e-30


def test_a_file_of_ones_own_says_what_counts(tmp_path: Path) -> None:
    assert scored(verl_reward(Rewards(R1)), RIGHT)["score"] == 3
    limited = verl_reward(Rewards(Weights(length=1), max_tokens=100, margin=20))
    assert scored(limited, RIGHT, response_tokens=90)["length"] == -0.5
    with pytest.raises(InputError, match=r"^rewards.length: in verl, needs the reward manager"):
        scored(limited, RIGHT)


def test_what_the_token_limit_ended_does_not_keep_the_format() -> None:
    limited = verl_reward(Rewards(max_tokens=64))
    assert [scored(limited, RIGHT, response_tokens=count)["format"] for count in (63, 64)] == [1, 0]


def test_what_verl_cannot_do_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^rewards.preference: in verl, set reward.reward_model"):
        verl_reward(Rewards(Weights(preference=1), preference="folder"))
    with pytest.raises(InputError, match=r"^extra_info: needs `question`"):
        verl_rewards.compute_score("math", RIGHT, "13", {})
