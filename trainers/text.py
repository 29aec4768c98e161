"""The text that a model is trained on: what an engine would give it as prompt, and what it is to write after that.

Prompt and completion are tokenized apart and joined, for that is what generation does: a tokenizer may merge letters
across the border, and the model would be trained on tokens that it never sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tracemill.core.errors import InputError, RefusedRequest
from tracemill.core.types import Request, Sampling
from tracemill.factory.engines.rendering import OPENING, encoded, rendered
from tracemill.factory.thinking import ThinkFormat


@dataclass(frozen=True)
class Text:
    """Prompts and completions in one think format for one tokenizer."""

    tokenizer: Any
    thinking: ThinkFormat

    @classmethod
    def of(cls, model: str, thinking: str) -> Text:
        """For a model, as transformers takes it. Raises InputError where it lacks a tokenizer or template."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"train.model: transformers finds no tokenizer in {model}: {reason}") from error
        text = cls(tokenizer, ThinkFormat.named(thinking))
        text.prompt("?")
        return text

    def request(self, question: str) -> Request:
        """What an engine would be asked, without worked examples."""
        return Request("", self.thinking.render(question), Sampling(), prefill=self.thinking.prefill)

    def prompt(self, question: str) -> str:
        """What the model gets. Raises InputError where its chat template cannot say it."""
        try:
            return rendered(self.request(question), self.tokenizer)
        except RefusedRequest as error:
            raise InputError(f"train.thinking: {error}") from error

    def bare(self, prompt: str) -> str:
        """The prompt for one who tokenizes text by itself (TRL) and so puts the first token before it once more."""
        first = self.tokenizer.bos_token
        return prompt.removeprefix(first) if first and self._adds_first else prompt

    @cached_property
    def _adds_first(self) -> bool:
        return bool(self.tokenizer("a")["input_ids"][:1] == [self.tokenizer.bos_token_id])

    def completion(self, prompt: str, reasoning: str, answer: str) -> str:
        """What the model is to write after `prompt`, with the end of its turn."""
        text = self.thinking.markup.join(reasoning, answer)
        if _is_open(prompt):
            text = text.removeprefix(OPENING if prompt[-1].isspace() else OPENING.strip())
        return text + self.end

    @cached_property
    def end(self) -> str:
        """What ends the assistant's turn; of raw text, the end of the text."""
        last: str = self.tokenizer.eos_token or ""
        if isinstance(self.thinking.render(""), str) or not self.tokenizer.chat_template:
            return last
        probe = "\u2038"  # a caret: nothing that a template writes itself
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": probe}]
        _, found, after = self.tokenizer.apply_chat_template(turns, tokenize=False).rpartition(probe)
        return after.strip() if found and after.strip() else last

    def ids(self, question: str, reasoning: str, answer: str) -> tuple[list[int], list[int]]:
        """Prompt and completion as tokens."""
        prompt = self.prompt(question)
        written = self.completion(prompt, reasoning, answer)
        return (
            encoded(self.request(question), prompt, self.tokenizer),
            self.tokenizer.encode(written, add_special_tokens=False),
        )

    @property
    def prefill(self) -> str:
        """What opens the model's turn and so is in no completion."""
        return OPENING if _is_open(self.prompt("?")) else ""


def _is_open(prompt: str) -> bool:
    return prompt.rstrip().endswith(OPENING.strip())
