"""Rewards as verl (0.9) calls them, and the rows of its Parquet files.

    reward.custom_reward_function.path=pkg://tracemill.trainers.verl_rewards

takes `compute_score`: accuracy and format by the format `r1`. For other rewards name a file of your own with
`compute_score = verl_reward(Rewards(…))`. verl knows no missing score: what could not be judged gets `UNDECIDED`, which
`trainers.verl_groups` reads as missing; without that it counts as 0, as a wrong answer does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json
from tracemill.core.types import Prompt
from tracemill.trainers.rewards import Rewards, prompt_of

UNDECIDED = 2.0**-100
"""The score of what could not be judged: no reward has this value, 32-bit floats hold it, and it moves no mean.

NaN would say the same, but one of it makes the logged means of its whole batch NaN.
"""
Score = Callable[..., dict[str, float | None]]


def verl_reward(rewards: Rewards) -> Score:
    """A reward function for `custom_reward_function`, called for one completion at a time, in any thread.

    Returns the score with the components beside it, which verl logs in validation and writes into its rollout files;
    one that cannot be told is None, and no part of its means. Raises InputError for `preference`:
    verl runs reward models itself (`reward.reward_model`).
    """
    if rewards.preference:
        raise InputError("rewards.preference: in verl, set reward.reward_model instead")

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: str,
        extra_info: Mapping[str, Any],
        **unused: Any,
    ) -> dict[str, float | None]:
        if not {"question", "metadata"} <= extra_info.keys():
            raise InputError("extra_info: needs `question` and `metadata`, as `verl_row` writes them")
        prompt = prompt_of(extra_info["question"], ground_truth, data_source, extra_info["metadata"])
        if rewards.weights.length and "response_tokens" not in extra_info:
            raise InputError("rewards.length: in verl, needs the reward manager of tracemill.trainers.verl_groups")
        tokens = extra_info.get("response_tokens", 0)
        (found,) = rewards.of([prompt], [solution_str], [tokens], cut_off=[rewards.is_cut_off(tokens)])
        undecided = found.total is None
        score = UNDECIDED if undecided else found.total
        return {"score": score, "undecided": float(undecided), **found.parts(rewards.weights)}

    return compute_score


def verl_row(prompt: Prompt, shown: list[dict[str, str]]) -> dict[str, Any]:
    """A row of verl's Parquet. `shown` is what the model gets, as chat turns."""
    return {
        "data_source": prompt.verifier,
        "prompt": shown,
        "ability": prompt.domain,
        "reward_model": {"style": "rule", "ground_truth": prompt.reference},
        "extra_info": {"question": prompt.text, "metadata": canonical_json(prompt.metadata)},
    }


compute_score = verl_reward(Rewards())
