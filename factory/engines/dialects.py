"""What OpenAI-compatible servers understand beyond the standard: requests into JSON bodies, replies into completions.

Pure functions; nothing here talks to a server. Facts: vLLM 0.32 (entrypoints/openai/*/protocol.py), SGLang
(srt/entrypoints/openai/serving_chat.py), llama.cpp (issue 21889; its server was never run here, nor was SGLang).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from tracemill.core.errors import RefusedRequest, SetAside
from tracemill.core.types import Completion, Message, Request

Body = dict[str, Any]
Dialect = Literal["openai", "vllm", "sglang", "llamacpp"]
DIALECTS: tuple[str, ...] = get_args(Dialect)
OPENING = "<think>\n"
STOP_KEPT: Mapping[str, Body] = {
    "vllm": {"include_stop_str_in_output": True},
    "sglang": {"no_stop_trim": True},
}
"""What keeps the stop string at the end of the text. Without it nobody can tell a stop string from an end of turn, so
other servers are not sent the stop: the text is cut after it here, and the tokens beyond it are paid."""
NEUTRAL: Mapping[str, Body] = {
    "openai": {},
    "vllm": {"min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {"min_p": 0.0, "repeat_penalty": 1.0},  # llama.cpp's own min_p is 0.05
}
"""Servers add sampling defaults of their own or of the model's generation_config.json; `extra_body` may set these."""
OWN = frozenset(
    {"model", "messages", "prompt", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens"}
) | {"seed", "stop", "n", "stream", "logprobs", "response_format", "json_schema", "continue_final_message"}
"""Fields that the engine sets by itself."""


def sampling_body(request: Request, dialect: Dialect) -> Body:
    """How it is sampled and stopped. Raises RefusedRequest for what the dialect has no word for."""
    sampling = request.sampling
    body: Body = {"temperature": sampling.temperature, "top_p": sampling.top_p, **NEUTRAL[dialect]}
    if dialect != "openai":
        body["top_k"] = -1 if dialect == "sglang" and sampling.top_k == 0 else sampling.top_k
    elif sampling.top_k:
        raise RefusedRequest("generate.top_k is no part of the OpenAI API: leave it 0, or name the server's dialect")
    if sampling.seed is not None:
        body["seed"] = sampling.seed % 2**31 if dialect == "llamacpp" else sampling.seed
    if request.stop and dialect in STOP_KEPT:
        body |= {"stop": list(request.stop), **STOP_KEPT[dialect]}
    return body


def constraint_body(request: Request, dialect: Dialect, raw: bool) -> Body:
    """Log probabilities and the JSON schema, which the two endpoints name differently."""
    body: Body = {"logprobs": 1 if raw else True} if request.logprobs else {}
    if request.json_schema is None:
        return body
    schema = json.loads(request.json_schema)
    if raw and dialect == "openai":
        raise RefusedRequest("raw text with a JSON schema: /v1/completions of the OpenAI API has none")
    if raw and dialect == "llamacpp":
        return {**body, "json_schema": schema}
    named = {"name": "reply", "schema": schema, "strict": True}
    return {**body, "response_format": {"type": "json_schema", "json_schema": named}}


def turns(messages: Sequence[Message], dialect: Dialect) -> list[dict[str, str]]:
    """The chat turns as they are sent."""
    sent = []
    for message in messages:
        turn = {"role": message.role, "content": message.content}
        if message.reasoning is not None:
            if dialect == "openai":
                raise RefusedRequest(
                    "a worked example's reasoning has no field in the OpenAI API: use no examples, or another think "
                    "format"
                )
            turn["reasoning_content"] = message.reasoning
        sent.append(turn)
    return sent


def check_kept(rendered: str, messages: Sequence[Message]) -> None:
    """Raises RefusedRequest where the server's chat template drops a part of what is asked. Spaces do not count."""
    squeezed = "".join(rendered.split())
    for message in messages:
        for part in (message.content, message.reasoning or ""):
            if "".join(part.split()) not in squeezed:
                raise RefusedRequest(
                    f"the model's chat template drops a part of the {message.role} turns (R1 distillates strip inline "
                    "reasoning, others their reasoning field); use no examples, or another think format"
                )


def completion(request: Request, reply: Mapping[str, Any], opened: bool) -> Completion:
    """The reply as a completion. `opened`: the chat template, not the model, wrote <think>.

    Raises RefusedRequest where the server withheld the text, and LookupError, TypeError, ValueError or AttributeError
    for a reply that is none.
    """
    choice = reply["choices"][0]
    reason = str(choice["finish_reason"])
    message = choice.get("message") or {}
    if message.get("refusal"):
        raise SetAside(f"the model refused: {one_line(message['refusal'])}")
    if reason in ("None", "abort", "error"):
        raise ValueError(f"finish_reason {reason!r}")  # it was interrupted: asking again may give another answer
    if reason not in ("stop", "length"):
        raise SetAside(f"the server ended it with finish_reason {reason!r}")
    text = (message.get("content") or "") if message else choice["text"]
    fields = (message.get("reasoning_content"), message.get("reasoning"))
    reasoning = next((field for field in fields if isinstance(field, str) and field.strip()), None)
    kept = _kept(text, request.stop)
    if kept < len(text):
        text, reason = text[:kept], "stop"
    if opened and reasoning is None and not text.lstrip().startswith("<think>"):
        text = OPENING + text
    usage = reply["usage"]
    return Completion(
        request_id=request.id,
        text=text,
        prompt_tokens=int(usage["prompt_tokens"]),
        completion_tokens=int(usage["completion_tokens"]),
        finish_reason=reason,
        reasoning=reasoning,
        logprobs=_logprobs(choice.get("logprobs"), request, reasoning is not None) if request.logprobs else None,
    )


def _kept(text: str, stops: Sequence[str]) -> int:
    """Length of the text up to the end of the stop string that is complete first; all of it where there is none."""
    ends = [text.index(stop) + len(stop) for stop in stops if stop in text]
    return min(ends, default=len(text))


def _logprobs(found: Mapping[str, Any] | None, request: Request, split: bool) -> tuple[float, ...]:
    """One value a token that stands in the text: those after a stop string that was cut here are left out."""
    if found and found.get("content") is not None:
        entries = found["content"]
        values = [float(entry["logprob"]) for entry in entries]
        tokens = [bytes(entry["bytes"]) if entry.get("bytes") else entry["token"].encode() for entry in entries]
    elif found and found.get("token_logprobs") is not None:
        values = [float(value) for value in found["token_logprobs"]]
        tokens = [str(token).encode() for token in found["tokens"]]
    else:
        raise RefusedRequest("the server gave no log probabilities: set generate.logprobs: false")
    whole = b"".join(tokens)
    start = max(0, whole.find(b"</think>")) if split else 0  # a stop string counts in the answer, not in the reasoning
    ends = [at + len(stop.encode()) for stop in request.stop if (at := whole.find(stop.encode(), start)) >= 0]
    count, length = 0, 0
    while count < len(tokens) and length < min(ends, default=len(whole)):
        length += len(tokens[count])
        count += 1
    return tuple(values[:count] if ends else values)


def one_line(text: object) -> str:
    """A server's message as part of one of ours."""
    return " ".join(str(text).split())[:300]
