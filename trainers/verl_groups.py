"""Groups in verl (0.9) of which some completions have no reward.

    reward.reward_manager.source=importlib
    reward.reward_manager.module.path=pkg://tracemill.trainers.verl_groups
    reward.reward_manager.name=JudgedRewards
    algorithm.adv_estimator=judged_grpo

verl's reward managers see one completion at a time, so nothing that they return could be neutral in its group. The
advantages are made where the groups are whole, and there a completion that could not be judged is left out of mean and
deviation and gets advantage 0, as in TRL.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np

from tracemill.core.errors import InputError
from tracemill.trainers.verl_rewards import UNDECIDED

ESTIMATOR = "judged_grpo"


def judged_grpo(
    token_level_rewards: Any, response_mask: Any, index: Any, config: Any = None, **unused: Any
) -> tuple[Any, Any]:
    """Advantages and returns, both (samples, tokens): verl's GRPO over those of each group that have a reward.

    Where fewer than two have one, there is nothing to compare, and all get 0. `index` names each sample's group.
    """
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    judged = (token_level_rewards.sum(dim=-1) != UNDECIDED).cpu().numpy()
    known = Counter(group for group, is_so in zip(index, judged, strict=True) if is_so)
    rows = [at for at, group in enumerate(index) if judged[at] and known[group] > 1]
    advantages = response_mask.new_zeros(response_mask.shape, dtype=token_level_rewards.dtype)
    if rows:
        scaled = True if config is None else config.get("norm_adv_by_std_in_grpo", True)
        found, _ = compute_grpo_outcome_advantage(
            token_level_rewards[rows], response_mask[rows], np.asarray(index)[rows], norm_adv_by_std_in_grpo=scaled
        )
        advantages[rows] = found.to(advantages.dtype)
    return advantages, advantages


@cache
def judged_rewards() -> type:
    """The class `JudgedRewards`. The process of the trainer looks it up too, and so verl knows the estimator there."""
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.core_algos import register_adv_est

    register_adv_est(ESTIMATOR)(judged_grpo)

    class JudgedRewards(NaiveRewardManager):  # type: ignore[misc]
        """verl's own manager, that tells the reward function the number of tokens too."""

        def __init__(self, config: Any, *arguments: Any, **options: Any) -> None:
            """Raises InputError where the configuration would lose what has no reward."""
            if config.algorithm.adv_estimator != ESTIMATOR:
                raise InputError(f"algorithm.adv_estimator: JudgedRewards needs {ESTIMATOR!r}")
            if config.algorithm.use_kl_in_reward:
                raise InputError("algorithm.use_kl_in_reward: set actor_rollout_ref.actor.use_kl_loss instead")
            super().__init__(config, *arguments, **options)

        async def run_single(self, data: Any) -> dict[str, Any]:
            """The score of the last of `data`, with its components."""
            last = data[-1:]
            tokens = int(last.batch["attention_mask"][0, -last.batch["responses"].shape[-1] :].sum())
            told = last.non_tensor_batch["extra_info"][0] | {"response_tokens": tokens}  # samples may share their dict
            last.non_tensor_batch["extra_info"] = np.array([told], dtype=object)
            found: dict[str, Any] = await super().run_single(last)
            return found

    return JudgedRewards


def __getattr__(name: str) -> type:
    """verl takes `JudgedRewards` from this module; nothing else needs verl to be installed."""
    if name == "JudgedRewards":
        return judged_rewards()
    raise AttributeError(name)
