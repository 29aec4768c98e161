"""Preference rewards: the reward model judges what no rule can, and nothing else."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from tracemill.core.errors import InputError
from tracemill.trainers.preference import PreferenceModel, preference_model
from tracemill.trainers.rewards import Rewards, Weights, prompt_of
from tracemill.trainers.trl_rewards import rl_row, trl_reward

OPEN = prompt_of("Write a poem about eggs.", "", "preference")
SUM = prompt_of("What is 6 * 7?", "42", "math")
POEM = "<think>a b</think><answer>c d</answer>"
WINDOW = 64


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random model with one label and a tokenizer of bytes, as TRL's RewardTrainer would write it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE({token: at for at, token in enumerate(["<pad>", "<end>", *letters])}, []))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="<end>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}<end>{% endfor %}"
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(letters) + 2,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=WINDOW,
        num_labels=1,
        pad_token_id=0,
        eos_token_id=1,
    )
    at = str(tmp_path_factory.mktemp("model"))
    LlamaForSequenceClassification(config).save_pretrained(at)
    tokenizer.save_pretrained(at)
    return at


def alone(folder: str, ids: list[int]) -> float:
    """The score by the model itself, of one text without padding."""
    from transformers import AutoModelForSequenceClassification

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        return float(model(torch.tensor([ids])).logits[0, 0])


def test_only_prompts_without_a_rule_are_scored_by_it(folder: str) -> None:
    rewards = pickle.loads(pickle.dumps(Rewards(Weights(preference=2), preference=folder)))
    poem, right = rewards.of([OPEN, SUM], [POEM, "<think>x</think><answer>42</answer>"], [1, 1], ["Q: ", "S: "])
    model = preference_model(folder)
    score = alone(folder, model.ids("Q: ", POEM))
    assert (poem.accuracy, poem.format, poem.preference) == (None, 1, pytest.approx(score, abs=1e-5))
    assert poem.total == 1 + 2 * poem.preference
    assert (right.accuracy, right.preference, right.total) == (1, None, 2)
    assert preference_model(folder) is model


def test_it_sees_prompt_completion_and_end_and_the_end_of_what_is_too_long(folder: str) -> None:
    model = PreferenceModel(folder)
    tokenizer: Any = model._tokenizer
    assert tokenizer.decode(model.ids("Q: ", "b c")) == "Q: b c<end>"
    assert model.ids("Q: ", "b c<end>") == model.ids("Q: ", "b c")
    assert tokenizer.decode(model.ids("Q: " + "x" * 100, "b c")) == "x" * (WINDOW - 4) + "b c<end>"
    turns = [{"role": "user", "content": "Q"}]
    assert tokenizer.decode(model.ids(turns, "b c")) == "user: Q<end>assistant: b c<end>"


def test_a_first_token_that_a_template_has_put_there_is_not_put_there_again(folder: str) -> None:
    from tokenizers import processors

    model = PreferenceModel(folder)
    tokenizer: Any = model._tokenizer
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    first = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", first)]
    )
    assert model.ids("<s>Q: ", "b") == model.ids("Q: ", "b")
    assert model.ids("Q: ", "b").count(first) == 1


def test_a_score_does_not_depend_on_what_is_in_its_batch(folder: str) -> None:
    model = PreferenceModel(folder)
    texts = ["a", "b c d e f g h" * 3, "z" * 200, "", *(f"text {number}" for number in range(20))]
    found = model.scores([""] * len(texts), texts)
    assert found == pytest.approx([alone(folder, model.ids("", text)) for text in texts], abs=1e-5)
    assert len({round(one or 0, 6) for one in found}) > 20


def test_trl_gives_it_the_prompt_as_shown(folder: str) -> None:
    logged: dict[str, float] = {}
    rows = [rl_row(OPEN, "Q: "), rl_row(SUM, "S: ")]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = trl_reward(Rewards(Weights(preference=1), preference=folder))(
        prompts=columns.pop("prompt"),
        completions=[POEM, "42"],
        completion_ids=[[1], [1]],
        log_metric=logged.__setitem__,
        **columns,
    )
    score = logged["rewards/preference"]
    assert score == pytest.approx(alone(folder, preference_model(folder).ids("Q: ", POEM)), abs=1e-5)
    assert found == [1 + score, 1]
    assert (logged["rewards/accuracy"], logged["rewards/undecided"]) == (1, 0)


def test_a_model_that_gives_no_number_gives_no_reward(folder: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.nn.init.constant_(model.score.weight, float("nan"))
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    (found,) = Rewards(Weights(preference=1), preference=str(tmp_path)).of([OPEN], [POEM], [1])
    assert (found.preference, found.total) == (None, None)


def test_mistakes_are_one_line(folder: str, tmp_path: Path) -> None:
    for weights, at in ((Weights(preference=1), None), (Weights(), folder)):
        with pytest.raises(InputError, match=r"^rewards.preference: needs both a reward model's folder and a weight"):
            Rewards(weights, preference=at)
    with pytest.raises(InputError, match=r"^rewards.preference: prompts whose verifier is 'preference'"):
        Rewards().of([OPEN], [POEM], [1])
    with pytest.raises(InputError, match=r"^rewards.preference: '.*' is no model folder"):
        PreferenceModel(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(InputError, match=r"is no sequence classification model with one label"):
        PreferenceModel(str(tmp_path))
