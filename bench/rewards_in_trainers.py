"""Our rewards called by the real code of verl and OpenRLHF, from the reward function's file to the advantages.

No trainer runs: what is called is what stands between a sampled completion and its advantage. In verl (0.9): its
configuration with our lines, the loading of function and reward manager by it, rows through Parquet, the manager on a
DataProto, the advantages (our estimator, and verl's own GRPO), the validation metrics. In OpenRLHF (0.11): the loading
of the agent's file, the samples of an engine that says what it is told, the experience made of them, the advantages.

Of eight samples of a prompt three are right, three wrong and two cannot be judged. The first six are to have the
advantages that they have in a group of six (OpenRLHF: times a factor, where it divides by the deviation), the last 0.

Both are looked for in this environment and in the folders of TRACEMILL_PEERS (separated by colons): unpacked wheels
will do, with tensordict, pylatexenc, codetiming, hydra-core, omegaconf and torchdata; antlr4-python3-runtime 4.9, which
hydra needs, comes before ours in PYTHONPATH. OpenRLHF imports flash_attn and deepspeed, which are for GPUs: empty
modules take their place. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from tracemill.trainers import openrlhf_rewards, verl_rewards
from tracemill.trainers.openrlhf_rewards import openrlhf_row
from tracemill.trainers.rewards import prompt_of
from tracemill.trainers.verl_rewards import verl_row

ASKED = "How many eggs are left when the ducks have laid sixteen of them and three were eaten by the farmer?"
ENGLISH = "The ducks have laid sixteen eggs, and three of these were eaten, so that thirteen of them are left over."
GERMAN = "Die Enten haben sechzehn Eier gelegt, und drei davon wurden gegessen, also bleiben dreizehn Eier davon übrig."
PROMPT = prompt_of(ASKED, "", "language")
SAMPLES = [f"<think>{chain}</think><answer>13</answer>" for chain in [ENGLISH] * 3 + [GERMAN] * 3 + ["Yes."] * 2]
"""The verifier of languages calls the last two too short to tell."""
VERL = (
    "reward.custom_reward_function.path=pkg://tracemill.trainers.verl_rewards",
    "reward.reward_manager.source=importlib",
    "reward.reward_manager.module.path=pkg://tracemill.trainers.verl_groups",
    "reward.reward_manager.name=JudgedRewards",
    "algorithm.adv_estimator=judged_grpo",
)
"""Lines of verl's configuration, as docs/how-to/rewards.md gives them."""

ABSENT = (
    "flash_attn",
    "flash_attn.bert_padding",
    "flash_attn.utils",
    "flash_attn.utils.distributed",
    "deepspeed",
    "openrlhf.utils.deepspeed",
)
"""Modules for GPUs, that OpenRLHF imports and that compute no advantage."""


class Letters:
    """A tokenizer with a token for each letter; 0 is the end."""

    def decode(self, ids: Any, skip_special_tokens: bool = True) -> str:
        return "".join(chr(one) if one else "" if skip_special_tokens else "<end>" for one in map(int, ids))

    def __call__(self, text: str, **options: Any) -> dict[str, Any]:
        import torch

        return {"input_ids": torch.tensor([[*map(ord, text)]])}


def rounded(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]


def verl_config(lines: tuple[str, ...]) -> Any:
    """verl's own configuration with these lines."""
    hydra: Any = import_module("hydra")
    folder = Path(import_module("verl").__file__ or "").parent / "trainer" / "config"
    with hydra.initialize_config_dir(str(folder), version_base=None):
        return hydra.compose("ppo_trainer", [*lines])


def verl_row_read() -> dict[str, Any]:
    """Our row, out of a Parquet file, as verl reads it."""
    from datasets import Dataset, load_dataset

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/rows.parquet"
        Dataset.from_list([verl_row(PROMPT, [{"role": "user", "content": ASKED}])]).to_parquet(file)
        (row,) = load_dataset("parquet", data_files=file, cache_dir=folder)["train"]
        return dict(row)


def verl_data() -> Any:
    """The samples as verl has them: tokens padded to one length, and the row's columns."""
    import numpy as np
    import torch
    from verl import DataProto

    ids = [[*map(ord, text), 0] for text in SAMPLES]
    widest, row = max(map(len, ids)), verl_row_read()
    responses = torch.tensor([one + [0] * (widest - len(one)) for one in ids])
    mask = torch.tensor([[1] * len(one) + [0] * (widest - len(one)) for one in ids])
    columns = {name: np.array([row[name]] * len(ids)) for name in ("data_source", "reward_model", "extra_info")}
    prompts = torch.ones(len(ids), 1, dtype=torch.long)
    tensors = {
        "prompts": prompts,
        "responses": responses,
        "attention_mask": torch.cat([prompts, mask], 1),
        "response_mask": mask,
    }
    return DataProto.from_dict(tensors=tensors, non_tensors=columns)


def run_verl() -> dict[str, Any]:
    """Scores, what is logged, and advantages by our estimator and by verl's own."""
    import numpy as np
    from verl.trainer.ppo.metric_utils import process_validation_metrics
    from verl.trainer.ppo.ray_trainer import compute_advantage
    from verl.trainer.ppo.reward import load_reward_manager

    config, data = verl_config(VERL), verl_data()

    async def scored() -> list[dict[str, Any]]:
        manager = load_reward_manager(config, Letters())
        manager.loop = asyncio.get_running_loop()
        waiting = [manager.run_single(data[at : at + 1]) for at in range(len(SAMPLES))]
        return [*await asyncio.gather(*waiting)]

    found = asyncio.run(scored())
    infos = [one["reward_extra_info"] for one in found]
    kind = type(load_reward_manager(config, Letters()))
    data.batch["token_level_rewards"] = kind.assemble_rm_scores(data, [one["reward_score"] for one in found])
    data.non_tensor_batch["uid"] = np.array(["one"] * len(SAMPLES), dtype=object)
    advantages = {}
    for name in ("judged_grpo", "grpo"):
        made = compute_advantage(data, name, config=config.algorithm).batch["advantages"]
        advantages[name] = rounded(made[:, 0])
    columns = {name: [info[name] for info in infos] for name in infos[0]}
    metrics = process_validation_metrics(["language"] * len(SAMPLES), ["one"] * len(SAMPLES), columns)["language"]
    logged = {f"{name}/{key}": value for name, of in metrics.items() for key, value in of.items() if "mean@" in key}
    assert columns["score"][6:] == [verl_rewards.UNDECIDED] * 2
    return {"scores": rounded(columns["score"]), "advantages": advantages, "validation": logged}


class Engine:
    """Stands where vLLM does: says the samples in turn, with OpenRLHF's own code around it."""

    def __init__(self, executor: Any) -> None:
        self.executor, self._left = executor, [*SAMPLES]

    async def generate(self, prompt_token_ids: Any, sampling_params: Any, multi_modal_data: Any = None) -> Any:
        text = self._left.pop(0)
        await asyncio.sleep(0.01 * (len(self._left) % 3))
        output = SimpleNamespace(token_ids=[*map(ord, text), 0], finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[output])


def run_openrlhf() -> dict[str, Any]:
    """Rewards, what is logged, and advantages by each estimator that compares a group."""
    import_module("transformers.trainer")  # before it would look at what takes deepspeed's place
    for name in ABSENT:
        sys.modules.setdefault(name, MagicMock())
    from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator
    from openrlhf.trainer.ray.vllm_engine import RolloutRayActor, _load_agent_executor

    engine = Engine(_load_agent_executor(openrlhf_rewards.__file__))
    row = openrlhf_row(PROMPT, ASKED)
    responses = asyncio.run(
        RolloutRayActor.__ray_metadata__.modified_class.generate_responses(
            engine,
            row["input"],
            row["label"],
            SimpleNamespace(max_tokens=400, logprobs=None),
            600,
            Letters(),
            len(SAMPLES),
        )
    )
    made = [SamplesGenerator._process_response_into_experience(MagicMock(), one) for one in responses]
    logged = {name: rounded(one.info[name].item() for one in made) for name in responses[0]["extra_logs"]}
    advantages = {name: openrlhf_advantages(made, name) for name in ("group_norm", "dr_grpo", "rloo")}
    return {"rewards": rounded(one.rewards.item() for one in made), "logged": logged, "advantages": advantages}


def openrlhf_advantages(made: list[Any], estimator: str) -> list[float]:
    """Of each sample; the same at all of its tokens."""
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience
    from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker

    for at, one in enumerate(made):
        one.index = [at]
    whole = Experience.concat_experiences(made, 0)
    whole.kl = torch.zeros(whole.action_mask.shape)
    advantage = SimpleNamespace(estimator=estimator, gamma=1.0, no_std_norm=False)
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=advantage),
        rollout=SimpleNamespace(n_samples_per_prompt=len(made)),
        reward=SimpleNamespace(clip_range=(-10, 10)),
    )
    maker: Any = RemoteExperienceMaker.__new__(RemoteExperienceMaker)
    maker.strategy, maker.kl_ctl = SimpleNamespace(args=args), SimpleNamespace(value=0.0)
    maker.advantage_estimator = estimator
    (done,) = maker.compute_advantages_and_returns([whole])
    return rounded((done.advantages * done.action_mask).sum(1) / done.action_mask.sum(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="as CI runs it: the same")
    parser.parse_args()
    sys.path.extend(filter(None, os.environ.get("TRACEMILL_PEERS", "").split(":")))
    figures: dict[str, Any] = {}
    for name, run in {"verl": run_verl, "openrlhf": run_openrlhf}.items():
        if find_spec(name) is None:
            figures[name] = "not here"
            continue
        figures[name] = run()
        for key, value in figures[name].items():
            print(f"{name:<10}{key:<12}{value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
