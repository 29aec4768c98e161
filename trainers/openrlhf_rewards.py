"""Rewards as OpenRLHF (0.11) calls them, and the rows of its data sets.

    --train.agent_func_path <this file>

takes `AgentExecutor`: accuracy and format by the format `r1`. For other rewards, name a file of your own with
`AgentExecutor = openrlhf_executor(Rewards(…))`, or `reward_func = openrlhf_reward(Rewards(…), end=…)` for
`--reward.remote_url`. OpenRLHF knows no missing reward. The executor sees all samples of a prompt, so one that could
not be judged gets the mean of the others, which is advantage 0; a `reward_func` sees one sample, and the mean of what
it judged before is the best that it can give.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json
from tracemill.core.types import Prompt
from tracemill.trainers.groups import Groups, Recent, told
from tracemill.trainers.rewards import Reward, Rewards, prompt_of


def openrlhf_row(prompt: Prompt, shown: str | list[dict[str, str]]) -> dict[str, Any]:
    """A row: `shown` is what the model gets. For `--data.input_key input --data.label_key label`."""
    known = {"question": prompt.text, "reference": prompt.reference, "verifier": prompt.verifier}
    label = canonical_json(known | {"metadata": canonical_json(prompt.metadata)})
    return {"input": shown, "label": label, "datasource": prompt.verifier}


def openrlhf_reward(rewards: Rewards, end: str) -> Callable[..., dict[str, Any]]:
    """A `reward_func`. `end` is the model's end token, which is in the text that OpenRLHF gives: `<|im_end|>`.

    Called with one sample, in any thread. OpenRLHF hides what a `reward_func` raises, and fails later. Raises
    InputError for `length`, since tokens are not told here.
    """
    if rewards.weights.length:
        raise InputError("rewards.length: needs openrlhf_executor; a reward_func is not told the tokens")
    recent = Recent()

    def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
        (query,), (prompt,), (label,) = queries, prompts, labels
        if not query.startswith(prompt):
            raise ValueError("the text does not begin with its prompt (cut, or changed by the tokenizer)")
        text = query.removeprefix(prompt).removesuffix(end)
        (found,) = rewards.of([prompt_of(**json.loads(label))], [text], [0], [prompt])
        recent.add(found)
        return told(found, rewards.weights, recent.mean(), 0.0)

    return reward_func


def openrlhf_executor(rewards: Rewards) -> type:
    """A class for `--train.agent_func_path`: one turn, told when all samples of its prompt are judged."""
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    class AgentExecutor(SingleTurnAgentExecutor):  # type: ignore[misc]
        """One of these makes all samples of an engine."""

        def __init__(self) -> None:
            super().__init__()
            self._groups = Groups(rewards.weights)

        async def execute(
            self,
            prompt: str,
            label: str,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            *args: Any,
            **more: Any,
        ) -> dict[str, Any]:
            output: dict[str, Any] = {}

            async def sample() -> Reward:
                output.update(
                    await super(AgentExecutor, self).execute(
                        prompt, label, sampling_params, max_length, hf_tokenizer, *args, **more
                    )
                )
                return await asyncio.to_thread(_judged, rewards, output, hf_tokenizer)

            # `generate_responses` asks for all samples of a prompt in one call, with one object of parameters.
            found = await self._groups.told(sampling_params, sample())
            return output | {"reward": found["rewards"], "scores": found["scores"], "extra_logs": found["extra_logs"]}

    return AgentExecutor


def _judged(rewards: Rewards, output: dict[str, Any], tokenizer: Any) -> Reward:
    ((start, end),) = output["action_ranges"]
    tokens = output["observation_tokens"][start:end]
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    asked, count = prompt_of(**json.loads(output["label"])), len(tokens)
    (found,) = rewards.of([asked], [text], [count], [output["prompt"]], [rewards.is_cut_off(count)])
    return found


def __getattr__(name: str) -> type:
    """OpenRLHF loads this file and takes its `AgentExecutor`; nothing else needs openrlhf to be installed."""
    if name == "AgentExecutor":
        return openrlhf_executor(Rewards())
    raise AttributeError(name)
