"""Rewards as TRL's GRPOTrainer and RLOOTrainer call them, and the rows of their data sets.

TRL (1.16, `_calculate_rewards`) knows missing rewards: a completion whose reward is None is no part of its group's mean
and deviation, and has advantage 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tracemill.core.ids import canonical_json
from tracemill.core.types import Prompt
from tracemill.trainers.rewards import COMPONENTS, Rewards, prompt_of


def trl_reward(
    rewards: Rewards, ends: Collection[int] = (), stops: Sequence[str] = ()
) -> Callable[..., list[float | None]]:
    """A reward function for `reward_funcs`.

    The data set has the columns `question`, `reference`, `verifier` and `metadata` beside `prompt`. Logs the mean of
    each component as `rewards/<component>`, and the share of completions that could not be judged. With `ends`, the
    tokens that end a completion beside the strings `stops`, what has `max_tokens` tokens and no end was cut off.
    """

    def tracemill(
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        question: Sequence[str],
        reference: Sequence[str],
        verifier: Sequence[str],
        metadata: Sequence[str],
        prompts: Sequence[Any] | None = None,
        log_metric: Callable[[str, float], None] = lambda name, value: None,
        **columns: Any,
    ) -> list[float | None]:
        asked = [*map(prompt_of, question, reference, verifier, metadata)]
        texts = [one if isinstance(one, str) else _text(one[-1], rewards.prefill) for one in completions]
        cut_off = [*map(is_cut_off, completion_ids, texts)]
        found = rewards.of(asked, texts, [*map(len, completion_ids)], prompts, cut_off)
        for name in COMPONENTS:
            values = [value for one in found if (value := getattr(one, name)) is not None]
            if values:
                log_metric(f"rewards/{name}", sum(values) / len(values))
        if ends:
            log_metric("rewards/cut_off", sum(cut_off) / len(cut_off))
        log_metric("rewards/undecided", sum(one.total is None for one in found) / len(found))
        return [one.total for one in found]

    def is_cut_off(ids: Sequence[int], text: str) -> bool:
        has_end = (len(ids) > 0 and ids[-1] in ends) or any(stop in text for stop in stops)
        return bool(ends and rewards.max_tokens and len(ids) >= rewards.max_tokens and not has_end)

    return tracemill


def _text(turn: Mapping[str, Any], prefill: str) -> str:
    """What the model wrote. A tokenizer with a response template has taken the chain out of the content."""
    reasoning = turn.get("reasoning_content") or turn.get("thinking")
    content = turn.get("content") or ""
    return f"<think>\n{reasoning}\n</think>\n\n{content}".removeprefix(prefill) if reasoning else content


def rl_row(prompt: Prompt, shown: str | list[dict[str, str]]) -> dict[str, Any]:
    """A row for `trl_reward`: `shown` is what the model gets, as text or chat turns."""
    return {
        "prompt": shown,
        "question": prompt.text,
        "reference": prompt.reference,
        "verifier": prompt.verifier,
        "metadata": canonical_json(prompt.metadata),
    }
