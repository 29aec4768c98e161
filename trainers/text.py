"""The text that a model is trained on: what an engine would give it as prompt, and what it is to write after that.

Prompt and completion are tokenized apart and joined, for that is what generation does: a tokenizer may merge letters
across the border, and the model would be trained on tokens that it never sees.

What an engine does not do itself is taken from the tokenizer: it ends texts with what ends a turn, so that trainers and
engines stop where the model is taught to, and it puts nothing before chat prompts, whose templates write all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from tracemill.core.errors import InputError, RefusedRequest
from tracemill.core.markup import Markup, Split, split
from tracemill.core.types import Request, Sampling
from tracemill.factory.engines.rendering import OPENING, encoded, is_open, rendered
from tracemill.factory.thinking import ThinkFormat


@dataclass(frozen=True)
class Text:
    """Prompts and completions in one think format for one tokenizer."""

    tokenizer: Any
    """Tokenizes prompts and completions as they are, without any option. `fitted` makes it so."""
    thinking: ThinkFormat
    window: int | None = None
    """Most tokens that the model takes, prompt and completion together; None where it does not say."""

    @classmethod
    def of(cls, model: str, thinking: str) -> Text:
        """For a model, as transformers takes it. Raises InputError where it lacks tokenizer, template or end token."""
        return cls.fitted(_tokenizer(model), thinking, window_of(model))

    @classmethod
    def fitted(cls, tokenizer: Any, thinking: str, window: int | None = None) -> Text:
        """For a tokenizer, which is changed. Raises InputError where it lacks a template or an end token."""
        text = cls(tokenizer, ThinkFormat.named(thinking), window)
        text.prompt("?")
        tokenizer.eos_token = text.end
        if not text.is_raw:
            tokenizer.add_bos_token = tokenizer.add_eos_token = False
            if tokenizer("a")["input_ids"] != tokenizer.encode("a", add_special_tokens=False):
                raise InputError("train.model: its tokenizer has no tokenizer.json, and puts tokens before each text")
        return text

    def tokenizer_of(self, model: str) -> Any:
        """The model's own tokenizer, with the end that it has learned: what is put beside a trained model."""
        tokenizer = _tokenizer(model)
        tokenizer.eos_token = self.end
        return tokenizer

    @cached_property
    def is_raw(self) -> bool:
        """Prompts are text that no chat template made; the tokenizer puts its first token before them."""
        return isinstance(self.thinking.render(""), str)

    def request(self, question: str) -> Request:
        """What an engine would be asked, without worked examples."""
        return Request("", self.thinking.render(question), Sampling(), prefill=self.thinking.prefill)

    def prompt(self, question: str) -> str:
        """What the model gets. Raises InputError where its chat template cannot say it."""
        try:
            return rendered(self.request(question), self.tokenizer)
        except RefusedRequest as error:
            raise InputError(f"train.thinking: {error}") from error

    def completion(self, prompt: str, reasoning: str, answer: str, faults: Sequence[str] = ()) -> str:
        """What the model is to write after `prompt`, with the end of its turn.

        Text that broke the format (`faults`) stays so: tags that were not there are not put in.
        """
        text = written(reasoning, answer, faults, self.thinking.markup)
        if is_open(prompt):
            text = text.removeprefix(OPENING if prompt[-1].isspace() else OPENING.strip())
        return text + self.end

    @cached_property
    def end(self) -> str:
        """The token that ends the assistant's turn; of raw text, the end of the text. Raises InputError without one."""
        last: str = self.tokenizer.eos_token or ""
        after = "" if self.is_raw or not self.tokenizer.chat_template else self._after_turn()
        if not after or (last and after.startswith(last)):
            if not last:
                raise InputError("train.model: its tokenizer has no end token (eos_token), so it would never end")
            return last
        first: int = self.tokenizer.encode(after, add_special_tokens=False)[0]
        token: str = self.tokenizer.convert_ids_to_tokens(first)
        if first not in self.tokenizer.added_tokens_decoder or not after.startswith(token):
            raise InputError(
                f"train.thinking: the model's chat template ends the assistant's turn with {after!r}, which is no "
                "token of its own, so no engine would stop there; set thinking: r1_zero"
            )
        return token

    def _after_turn(self) -> str:
        """What the chat template writes after the assistant's text."""
        probe = "\u2038"  # a caret: nothing that a template writes itself
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": probe}]
        _, found, after = self.tokenizer.apply_chat_template(turns, tokenize=False).rpartition(probe)
        return str(after).strip() if found else ""

    def ids(
        self, question: str, reasoning: str, answer: str, faults: Sequence[str] = ()
    ) -> tuple[list[int], list[int]]:
        """Prompt and completion as tokens."""
        prompt = self.prompt(question)
        completion = self.completion(prompt, reasoning, answer, faults)
        return (
            encoded(self.request(question), prompt, self.tokenizer),
            self.tokenizer.encode(completion, add_special_tokens=False),
        )

    @property
    def hidden_tags(self) -> list[str]:
        """Tags of think formats that decoding leaves out, because the tokenizer calls them special."""
        tags = {"<think>", "</think>", "<answer>", "</answer>"}
        return sorted(tags & {*self.tokenizer.all_special_tokens})

    @property
    def prefill(self) -> str:
        """What opens the model's turn and so is in no completion."""
        return OPENING if is_open(self.prompt("?")) else ""


def written(reasoning: str, answer: str, faults: Sequence[str], markup: Markup) -> str:
    """A text that `core.markup.split` makes these parts and faults of: with the tags that there were, and no others."""
    broken = tuple(fault for fault in faults if fault != "cut_off")
    answers = (f"<answer>{answer}</answer>", answer) if markup.answer_tags else (answer,)
    for opening, closing, told in product(("<think>\n", ""), ("\n</think>\n\n", "\n\n"), answers):
        text = f"{opening}{reasoning}{closing}{told}".strip()
        if broken and split(text, markup) == Split(reasoning, answer, broken):
            return text
    return markup.join(reasoning, answer)


def _tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"train.model: transformers finds no tokenizer in {model}: {reason}") from error


def window_of(model: str) -> int | None:
    """Most tokens that it takes, as vLLM finds it: position embeddings, and what YaRN and its like make of them."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model).get_text_config()
    except (OSError, ValueError):  # `presets.parameters` says it
        return None
    positions: int | None = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    if positions is None or rope.get("rope_type") not in ("linear", "dynamic", "yarn"):
        return positions
    return max(positions, int(rope.get("original_max_position_embeddings", positions) * rope.get("factor", 1)))
