"""Rewards for GRPO and its like: the project's verifiers, with R1's weights.

A reward is a sum of components, each weighted (0 leaves it out):

- `accuracy`: 1 where the prompt's verifier calls the answer correct, else 0.
- `format`: 1 where the completion keeps the think format, else 0. R1 adds it to accuracy with equal weight
  (arXiv 2501.12948, section 2.2.2).
- `language`: the share of the chain's words that are in the target language, 0 to 1 (section 2.3.2, where it is added).
- `repetition`: minus the share of the chain's words that are in loops (`filters.repetition`).
- `length`: 0 up to `max_tokens - margin`, from there falling to -1 at `max_tokens` (DAPO's soft punishment, arXiv
  2503.14476, equation 13).

What could not be judged has no reward at all (None), whatever its format: 0 would say that it is wrong. Verdicts are
made without signals, so rewards work in any thread and in the workers of Ray Train.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json, prompt_id
from tracemill.core.markup import markup_named, split
from tracemill.core.types import Item, Outcome, Prompt, Verdict, Verifier
from tracemill.filters.repetition import repetition
from tracemill.verifiers.judging import judge, judge_many, unsampled_trace

COMPONENTS = ("accuracy", "format", "language", "repetition", "length")


@dataclass(frozen=True, slots=True)
class Weights:
    """What each component counts."""

    accuracy: float = 1.0
    format: float = 1.0
    language: float = 0.0
    repetition: float = 0.0
    length: float = 0.0


R1_ZERO = Weights()
R1 = Weights(language=1.0)
"""R1's reinforcement learning after the cold start."""


@dataclass(frozen=True, slots=True)
class Reward:
    """The components of one completion, before they are weighted; one that is left out or cannot be told is None."""

    accuracy: float | None
    format: float | None
    language: float | None
    repetition: float | None
    length: float | None
    total: float | None
    """None where the verifier could not decide."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """How completions are rewarded. Picklable, and safe in any thread."""

    weights: Weights = R1_ZERO
    thinking: str = "r1"
    """Think format that the completions are split by."""
    prefill: str = ""
    """What opened the assistant's turn, and so is not in the completions: `<think>\\n`."""
    max_tokens: int | None = None
    """For `length`: the limit on the completion's tokens."""
    margin: int = 0
    """For `length`: tokens before the limit from which it falls."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of verifiers by name, as in a recipe's `verify.options`."""

    def __post_init__(self) -> None:
        markup_named(self.thinking, "rewards.thinking")
        if self.weights.length and (self.max_tokens is None or not 0 < self.margin <= self.max_tokens):
            raise InputError("rewards.length: needs max_tokens, and a margin of at least 1 and at most that")

    def of(self, prompts: Sequence[Prompt], texts: Sequence[str], tokens: Sequence[int]) -> list[Reward]:
        """The reward of each completion, to the prompt of the same number, of so many tokens. Judged in parallel."""
        items = [self._item(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        found: dict[int, Reward] = {}
        by_verifier: dict[str, list[int]] = {}
        for at, item in enumerate(items):
            by_verifier.setdefault(item.prompt.verifier, []).append(at)
        for name, places in by_verifier.items():
            verdicts = judge_many([items[at] for at in places], (self._verifier(name),))
            for at, (verdict,) in zip(places, verdicts, strict=True):
                found[at] = self._reward(items[at], verdict, tokens[at])
        return [found[at] for at in range(len(items))]

    def _item(self, prompt: Prompt, text: str) -> Item:
        parts = split(self.prefill + text, markup_named(self.thinking))
        return Item(prompt, unsampled_trace(prompt, parts.answer, parts.reasoning, parts.faults, self.thinking))

    def _verifier(self, name: str) -> Verifier:
        found: Verifier = plugins.get("verifiers", name, self.options.get(name), where="verifier")
        return found

    def _reward(self, item: Item, verdict: Verdict, tokens: int) -> Reward:
        weights, chain = self.weights, item.trace.reasoning
        accuracy = None if verdict.outcome is Outcome.UNDECIDED else float(verdict.outcome is Outcome.CORRECT)
        parts = {
            "accuracy": accuracy,
            "format": float(not item.trace.faults) if weights.format else None,
            "language": self._language(item) if weights.language else None,
            "repetition": -repetition(chain).looped if weights.repetition else None,
            "length": self._length(tokens) if weights.length else None,
        }
        known = ((getattr(weights, name), value) for name, value in parts.items() if value is not None)
        return Reward(**parts, total=None if accuracy is None else sum(weight * value for weight, value in known))

    def _language(self, item: Item) -> float | None:
        (verdict,) = judge(item.prompt, item.trace, (self._verifier("language"),))
        return verdict.score

    def _length(self, tokens: int) -> float:
        assert self.max_tokens is not None
        return -min(1.0, max(0.0, (tokens - (self.max_tokens - self.margin)) / self.margin))


def prompt_of(question: str, reference: str, verifier: str, metadata: str = "{}") -> Prompt:
    """A prompt from the columns of an RL row; `metadata` is JSON text."""
    identity = prompt_id(question, verifier, reference)
    return Prompt(identity, question, "", verifier, reference, "rewards", json.loads(metadata))


def trl_reward(rewards: Rewards) -> Callable[..., list[float | None]]:
    """A reward function for TRL's GRPOTrainer (trl 1.16, `_calculate_rewards`).

    The data set has the columns `question`, `reference`, `verifier` and `metadata` beside `prompt`. Logs the mean of
    each component as `rewards/<component>`, and the share of completions that could not be judged.
    """

    def tracemill(
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        question: Sequence[str],
        reference: Sequence[str],
        verifier: Sequence[str],
        metadata: Sequence[str],
        log_metric: Callable[[str, float], None] = lambda name, value: None,
        **columns: Any,
    ) -> list[float | None]:
        prompts = [*map(prompt_of, question, reference, verifier, metadata)]
        texts = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        found = rewards.of(prompts, texts, [*map(len, completion_ids)])
        for name in COMPONENTS:
            values = [value for one in found if (value := getattr(one, name)) is not None]
            if values:
                log_metric(f"rewards/{name}", sum(values) / len(values))
        log_metric("rewards/undecided", sum(one.total is None for one in found) / len(found))
        return [one.total for one in found]

    return tracemill


def rl_row(prompt: Prompt, shown: str | list[dict[str, str]]) -> dict[str, Any]:
    """A row for `trl_reward`: `shown` is what the model gets, as text or chat turns."""
    return {
        "prompt": shown,
        "question": prompt.text,
        "reference": prompt.reference,
        "verifier": prompt.verifier,
        "metadata": canonical_json(prompt.metadata),
    }


def verl_row(prompt: Prompt, shown: list[dict[str, str]], thinking: str = "r1", prefill: str = "") -> dict[str, Any]:
    """A row of verl's Parquet (0.9) for `compute_score`."""
    extra = {"question": prompt.text, "metadata": canonical_json(prompt.metadata)}
    return {
        "data_source": prompt.verifier,
        "prompt": shown,
        "ability": prompt.domain,
        "reward_model": {"style": "rule", "ground_truth": prompt.reference},
        "extra_info": extra | {"thinking": thinking, "prefill": prefill},
    }


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """verl's reward (`custom_reward_function.path` this file, `.name` compute_score): rows as `verl_row` makes them.

    Accuracy and format. verl knows no missing reward, so what could not be judged has score 0 there, and `undecided` 1
    beside it.
    """
    extra = extra_info or {}
    prompt = prompt_of(extra.get("question", ""), ground_truth, data_source, extra.get("metadata", "{}"))
    rewards = Rewards(thinking=extra.get("thinking", "r1"), prefill=extra.get("prefill", ""))
    (found,) = rewards.of([prompt], [solution_str], [0])
    parts = {name: value for name, value in asdict(found).items() if name in COMPONENTS and value is not None}
    return {"score": found.total or 0.0, "undecided": float(found.total is None), **parts}
