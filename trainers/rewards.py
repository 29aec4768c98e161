"""Rewards for GRPO and its like: the project's verifiers, with R1's weights.

A reward is a sum of components, each weighted (0 leaves it out):

- `accuracy`: 1 where the prompt's verifier calls the answer correct, else 0.
- `format`: 1 where the completion keeps the think format, else 0. R1 adds it to accuracy with equal weight
  (arXiv 2501.12948, section 2.2.2).
- `language`: the share of the chain's words that are in the target language, 0 to 1 (section 2.3.2, where it is added).
- `repetition`: minus the share of the chain's words that are in loops (`filters.repetition`).
- `length`: 0 up to `max_tokens - margin`, from there falling to -1 at `max_tokens` (DAPO's soft punishment, arXiv
  2503.14476, equation 13).
- `preference`: what a reward model gives the completion (`trainers.preference`), in place of accuracy, for prompts that
  no rule can judge: those whose verifier is `preference`, a reserved name (section 2.3.4: R1's second stage mixes both
  kinds of prompts, and has preference rewards in the last 400 of 1,700 steps only).

What could not be judged has no reward at all (None), whatever its format: 0 would say that it is wrong. Verdicts are
made without signals, so rewards work in any thread and in the workers of Ray Train. How TRL, verl and OpenRLHF call
this is in `trl_rewards`, `verl_rewards` and `openrlhf_rewards`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import prompt_id
from tracemill.core.markup import markup_named, split
from tracemill.core.types import Item, Outcome, Prompt, Verdict, Verifier
from tracemill.filters.repetition import repetition
from tracemill.trainers.preference import Shown, preference_model
from tracemill.verifiers.judging import NO_REFERENCE, judge, judge_many, unsampled_trace

COMPONENTS = ("accuracy", "format", "language", "repetition", "length", "preference")
PREFERENCE = "preference"
"""Stands where a prompt's verifier does, for prompts that a reward model judges; no plugin has this name."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each component counts."""

    accuracy: float = 1.0
    """1 where the prompt's verifier calls the answer right, else 0."""
    format: float = 1.0
    """1 where the think format is kept, else 0."""
    language: float = 0.0
    """Share of the chain that is in the target language."""
    repetition: float = 0.0
    """A penalty: minus the share of the chain that goes round in circles."""
    length: float = 0.0
    """A penalty: 0 down to -1 over the last tokens before `max_tokens`."""
    preference: float = 0.0
    """The score of a reward model, for prompts that no rule can judge."""


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
    preference: float | None
    total: float | None
    """None where neither the verifier nor the reward model could tell."""

    def parts(self, weights: Weights) -> dict[str, float | None]:
        """The components that count, by name."""
        return {name: getattr(self, name) for name in COMPONENTS if getattr(weights, name)}


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
    preference: str | None = None
    """For `preference`: folder of the reward model, loaded when first needed, once a process."""

    def __post_init__(self) -> None:
        markup_named(self.thinking, "rewards.thinking")
        if self.weights.length and (self.max_tokens is None or not 0 < self.margin <= self.max_tokens):
            raise InputError("rewards.length: needs max_tokens, and a margin of at least 1 and at most that")
        if bool(self.weights.preference) != bool(self.preference):
            raise InputError("rewards.preference: needs both a reward model's folder and a weight")

    def of(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[str],
        tokens: Sequence[int],
        shown: Sequence[Shown] | None = None,
        cut_off: Sequence[bool] | None = None,
    ) -> list[Reward]:
        """The reward of each completion, to the prompt of the same number, of so many tokens. Judged in parallel.

        `shown` is what the model got, as text or chat turns; only `preference` looks at it, and without it takes the
        prompts' texts. `cut_off` says which the token limit ended; they do not keep the format, as in the factory.
        """
        ended = [False] * len(texts) if cut_off is None else cut_off
        items = [self._item(*one) for one in zip(prompts, texts, ended, strict=True)]
        seen = [prompt.text for prompt in prompts] if shown is None else shown
        found: dict[int, Reward] = {}
        by_verifier: dict[str, list[int]] = {}
        for at, item in enumerate(items):
            by_verifier.setdefault(item.prompt.verifier, []).append(at)
        for name, places in by_verifier.items():
            if name == PREFERENCE:
                accuracies: list[float | None] = [None] * len(places)
                preferences = self._preferences([seen[at] for at in places], [texts[at] for at in places])
            else:
                verdicts = judge_many([items[at] for at in places], (self._verifier(name),))
                accuracies = [_accuracy(verdict) for (verdict,) in verdicts]
                preferences = [None] * len(places)
            for at, accuracy, preference in zip(places, accuracies, preferences, strict=True):
                found[at] = self._reward(items[at], accuracy, preference, tokens[at])
        return [found[at] for at in range(len(items))]

    def is_cut_off(self, tokens: int) -> bool:
        """Whether a completion of so many tokens was ended by the limit, where that is known."""
        return self.max_tokens is not None and tokens >= self.max_tokens

    def can_judge(self, prompt: Prompt) -> bool:
        """Whether a completion to it can have a reward: not where its verifier asks a model, or lacks a reference."""
        if prompt.verifier == PREFERENCE:
            return self.preference is not None
        verifier = self._verifier(prompt.verifier)
        if hasattr(verifier, "ask"):
            return False
        if prompt.reference.strip():
            return True
        (found,) = judge(prompt, unsampled_trace(prompt, "0"), (verifier,))
        return not found.reason.startswith(NO_REFERENCE)

    def _item(self, prompt: Prompt, text: str, cut_off: bool) -> Item:
        parts = split(self.prefill + text, markup_named(self.thinking))
        faults = (*parts.faults, "cut_off") if cut_off else parts.faults
        return Item(prompt, unsampled_trace(prompt, parts.answer, parts.reasoning, faults, self.thinking))

    def _verifier(self, name: str) -> Verifier:
        found: Verifier = plugins.get("verifiers", name, self.options.get(name), where="verifier")
        return found

    def _preferences(self, shown: Sequence[Shown], texts: Sequence[str]) -> list[float | None]:
        if not self.preference:
            raise InputError("rewards.preference: prompts whose verifier is 'preference' need a reward model's folder")
        return preference_model(self.preference).scores(shown, texts)

    def _reward(self, item: Item, accuracy: float | None, preference: float | None, tokens: int) -> Reward:
        weights, chain = self.weights, item.trace.reasoning
        parts = {
            "accuracy": accuracy,
            "format": float(not item.trace.faults) if weights.format else None,
            "language": self._language(item) if weights.language else None,
            "repetition": -repetition(chain).looped if weights.repetition else None,
            "length": self._length(tokens) if weights.length else None,
            "preference": preference,
        }
        told = accuracy is not None or preference is not None
        known = ((getattr(weights, name), value) for name, value in parts.items() if value is not None)
        return Reward(**parts, total=sum(weight * value for weight, value in known) if told else None)

    def _language(self, item: Item) -> float | None:
        (verdict,) = judge(item.prompt, item.trace, (self._verifier("language"),))
        return verdict.score

    def _length(self, tokens: int) -> float:
        assert self.max_tokens is not None
        return -min(1.0, max(0.0, (tokens - (self.max_tokens - self.margin)) / self.margin))


def _accuracy(verdict: Verdict) -> float | None:
    return None if verdict.outcome is Outcome.UNDECIDED else float(verdict.outcome is Outcome.CORRECT)


def prompt_of(question: str, reference: str, verifier: str, metadata: str = "{}") -> Prompt:
    """A prompt from the columns of an RL row; `metadata` is JSON text."""
    identity = prompt_id(question, verifier, reference)
    return Prompt(identity, question, "", verifier, reference, "rewards", json.loads(metadata))
