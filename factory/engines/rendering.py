"""A request as the text that a model goes on from, for engines that hold the tokenizer, and what is cut from its own.

`tokenizer` is one of transformers throughout. `factory.engines.dialects` does the same for servers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tracemill.core.errors import RefusedRequest
from tracemill.core.types import Message, Request

OPENING = "<think>\n"
_MARK = re.compile(r"[<\[]/?(?:think|answer)[>\]]", re.IGNORECASE)


def rendered(request: Request, tokenizer: Any) -> str:
    """The text that the model continues. Raises RefusedRequest where the chat template cannot say what is asked."""
    if isinstance(request.prompt, str):
        return request.prompt + request.prefill
    if not tokenizer.chat_template:
        raise RefusedRequest("the model has no chat template; set thinking: r1_zero")
    turns = [_turn(message) for message in request.prompt]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    for message in request.prompt:
        if message.content.strip() not in text or (message.reasoning or "").strip() not in text:
            raise RefusedRequest(
                f"the model's chat template drops a part of the {message.role} turns (R1 distillates strip inline "
                "reasoning, others their reasoning field); use no examples, or another think format"
            )
    # R1 distillates' templates open the reasoning themselves; it must not be opened twice.
    return text + (request.prefill.removeprefix(OPENING) if is_open(text) else request.prefill)


def encoded(request: Request, text: str, tokenizer: Any) -> list[int]:
    """Its tokens. Chat templates write their special tokens themselves; raw text gets those of the tokenizer."""
    found: list[int] = tokenizer.encode(text, add_special_tokens=isinstance(request.prompt, str))
    return found


def opened(request: Request, text: str) -> str:
    """What of the rendered text belongs to the completion: a <think> that the chat template wrote, not the recipe."""
    return OPENING if not request.prefill and is_open(text) else ""


def control_tokens(special: Sequence[str]) -> re.Pattern[str] | None:
    """What to take out of a model's text by hand, because leaving out all special tokens would take its marks too.

    Decoders leave out the tokens that a tokenizer calls special. In DeepSeek-R1 and Qwen3 <think> is an added token and
    not special; some tokenizers call it special (Magistral's [THINK] likewise). None where no mark is among them.
    """
    control = [token for token in special if not _MARK.fullmatch(token)]
    return re.compile("|".join(map(re.escape, control)) or "(?!)") if len(control) < len(special) else None


def is_open(text: str) -> bool:
    """Whether a prompt ends with the opening of the chain."""
    return text.rstrip().endswith("<think>")


def _turn(message: Message) -> dict[str, str]:
    turn = {"role": message.role, "content": message.content}
    return turn if message.reasoning is None else {**turn, "reasoning_content": message.reasoning}
