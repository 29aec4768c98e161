"""An engine on any OpenAI-compatible server: vLLM serve, SGLang, llama.cpp's server, hosted APIs.

Retries and rate limits are in `connection` and `rate`, what each server understands is in `dialects`. A request means
the same as on `VllmEngine`: neutral sampling defaults, the stop string kept at the end, and the prefill after the chat
template's own opening of the turn. vLLM's `continue_final_message` does not do that for templates that know reasoning
(Qwen3's puts an empty thought before the prefill, R1's cut it at </think>), and llama.cpp refuses a prefill to a model
that thinks (issue 21889): there the server renders the turns (`/tokenize`, `/apply-template`; once a prompt) and the
prefill goes to `/v1/completions` behind them. SGLang's `continue_final_message` appends it just so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracemill.core.errors import EngineError, InputError, RefusedRequest, SetupError, nearest
from tracemill.core.types import Completion, Message, Request
from tracemill.factory.engines.dialects import (
    DIALECTS,
    OPENING,
    OWN,
    Body,
    Dialect,
    check_kept,
    completion,
    constraint_body,
    sampling_body,
    turns,
)
from tracemill.factory.engines.rate import Clock, Pace

if TYPE_CHECKING:
    from tracemill.factory.engines.connection import Connection

RENDERED = 512
"""Rendered prompts that are remembered: those of the prompts whose samples are under way."""


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """How a server is reached. Raises InputError for what cannot be."""

    model: str
    """Its name at the server."""
    base_url: str
    """With the version: `http://localhost:8000/v1`."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself stands nowhere."""
    dialect: Dialect = "openai"
    """What the server understands beyond the standard: openai, vllm, sglang, llamacpp."""
    opens_thinking: bool = False
    """Its chat template opens <think> itself, as R1 distillates' do. Found out by itself for `vllm` and `llamacpp`."""
    limit_field: str = "max_tokens"
    """Name of the token limit in chat requests; OpenAI's reasoning models want `max_completion_tokens`."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion tokens together."""
    tries: int = 6
    """How often a request is sent before the server counts as dead; only 408, 409, 425, 429, 5xx, connection errors,
    timeouts and malformed replies are tried again."""
    timeout_s: float = 1800.0
    """For one try, from sending to the last byte: a long chain on a busy server takes many minutes."""
    concurrency: int = 64
    """Requests, and connections, at once."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of every request, for example `{chat_template_kwargs: {enable_thinking: true}}`."""

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise InputError(f"dialect: unknown dialect {self.dialect!r}{nearest(self.dialect, DIALECTS)}")
        if not self.base_url.startswith(("http://", "https://")):
            raise InputError(f"base_url: must start with http:// or https://, got {self.base_url!r}")
        for name in ("requests_per_minute", "tokens_per_minute", "tries", "timeout_s", "concurrency"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name}: must be more than 0, got {value}")
        if taken := sorted(OWN & self.extra_body.keys()):
            raise InputError(f"extra_body.{taken[0]}: the engine sets it by itself")


@dataclass(frozen=True, slots=True)
class _Rendered:
    """Chat turns as the server's template renders them, the opening of the assistant's turn included."""

    prompt: str | tuple[int, ...]
    """Text, or token ids where the server gives those."""
    opened: bool
    """It ends with <think>."""


class OpenAIEngine:
    """Completes requests at one server, once started. Lives on one event loop."""

    def __init__(self, options: OpenAIOptions, clock: Clock | None = None) -> None:
        self._options = options
        self._url = options.base_url.rstrip("/")
        self._root = self._url.removesuffix("/v1")
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute, clock or Clock())
        self._rendering: dict[tuple[Message, ...] | str, asyncio.Task[_Rendered]] = {}

    async def start(self) -> None:
        """Make ready; the server is asked nothing. Raises SetupError where the key's variable is not set."""
        from tracemill.factory.engines.connection import Connection  # aiohttp: not for those that only read recipes

        options = self._options
        key = os.environ.get(options.api_key_env, "").strip() if options.api_key_env else ""
        if options.api_key_env and not key:
            raise SetupError(f"no API key for {self._url}: export {options.api_key_env}=…")
        self._connection: Connection = Connection(
            key, options.api_key_env, options.tries, options.timeout_s, options.concurrency, self._pace
        )
        self._connection.open()

    async def close(self) -> None:
        """Close the connections."""
        for rendering in self._rendering.values():
            rendering.cancel()
        await self._connection.close()

    async def complete(self, request: Request) -> Completion:
        """One sample. Raises RefusedRequest for a request that can never work, EngineError when the server is dead."""
        path, body, opened = await self._asked(request)
        estimate = self._pace.estimate(_rough_tokens(request), request.sampling.max_tokens)
        url = f"{self._url}{path}"
        return await self._connection.post(url, body, lambda reply: completion(request, reply, opened), estimate)

    async def _asked(self, request: Request) -> tuple[str, Body, bool]:
        """Path and body of the request, and whether the chat template opens the reasoning in its place."""
        options, prompt = self._options, request.prompt
        body = {"model": options.model, **sampling_body(request, options.dialect)}
        if isinstance(prompt, str):
            return self._raw(request, body, prompt + request.prefill)
        if options.dialect in ("vllm", "llamacpp"):
            rendered = await self._rendered(prompt)
            opened = rendered.opened
            if request.prefill:
                prefill = request.prefill.removeprefix(OPENING) if opened else request.prefill
                return self._raw(request, body, await self._behind(rendered.prompt, prefill))
        else:
            opened = options.opens_thinking
        messages = turns(prompt, options.dialect)
        if request.prefill and options.dialect == "openai":
            raise RefusedRequest(
                "this server cannot continue an answer that is begun: set generate.thinking: native, without budget "
                "forcing, or name the server's dialect (vllm, sglang, llamacpp)"
            )
        if request.prefill:
            body["separate_reasoning"] = False  # what was begun as text goes on as text
            if prefill := request.prefill.removeprefix(OPENING) if opened else request.prefill:
                messages.append({"role": "assistant", "content": prefill})
                body["continue_final_message"] = True
        body |= {"messages": messages, options.limit_field: request.sampling.max_tokens}
        body |= {**constraint_body(request, options.dialect, raw=False), **options.extra_body}
        return "/chat/completions", body, opened and not request.prefill

    def _raw(self, request: Request, body: Body, prompt: str | list[int]) -> tuple[str, Body, bool]:
        body |= {"prompt": prompt, "max_tokens": request.sampling.max_tokens}
        body |= constraint_body(request, self._options.dialect, raw=True)
        extra = {name: value for name, value in self._options.extra_body.items() if name != "chat_template_kwargs"}
        return "/completions", {**body, **extra}, False

    async def _behind(self, prompt: str | tuple[int, ...], prefill: str) -> str | list[int]:
        """The prompt with the prefill behind it."""
        if isinstance(prompt, str):
            return prompt + prefill
        if len(prefill) <= len(OPENING):  # the same for every sample; what budget forcing goes on from is not
            tail = (await self._rendered(prefill)).prompt if prefill else ()
        else:
            tail = (await self._render(prefill)).prompt
        assert not isinstance(tail, str)
        return [*prompt, *tail]

    async def _rendered(self, prompt: tuple[Message, ...] | str) -> _Rendered:
        """Asked once, however many samples of the prompt wait for it."""
        if prompt not in self._rendering:
            if len(self._rendering) >= RENDERED:
                self._rendering.pop(next(iter(self._rendering)))
            self._rendering[prompt] = asyncio.create_task(self._render(prompt))
        rendering = self._rendering[prompt]
        try:
            return await asyncio.shield(rendering)
        except EngineError:
            self._rendering.pop(prompt, None)
            raise

    async def _render(self, prompt: tuple[Message, ...] | str) -> _Rendered:
        """By the server's own chat template and tokenizer."""
        model = {"model": self._options.model}
        kwargs = {k: v for k, v in self._options.extra_body.items() if k == "chat_template_kwargs"}
        if isinstance(prompt, str):
            body = {**model, "prompt": prompt, "add_special_tokens": False}
            return _Rendered(await self._connection.post(f"{self._root}/tokenize", body, _tokens), opened=False)
        body = {**model, "messages": turns(prompt, self._options.dialect), **kwargs}
        if self._options.dialect == "llamacpp":
            text = await self._connection.post(f"{self._root}/apply-template", body, _text)
            check_kept(text, prompt)
            return _Rendered(text, text.rstrip().endswith("<think>"))
        tokens = await self._connection.post(f"{self._root}/tokenize", {**body, "add_generation_prompt": True}, _tokens)
        text = await self._connection.post(f"{self._root}/detokenize", {**model, "tokens": tokens}, _text)
        check_kept(text, prompt)
        return _Rendered(tokens, text.rstrip().endswith("<think>"))


def _rough_tokens(request: Request) -> int:
    """4 characters a token, as OpenAI counts for its limits; usage corrects it."""
    prompt = request.prompt
    text = len(prompt) if isinstance(prompt, str) else sum(len(m.content) + len(m.reasoning or "") for m in prompt)
    return (text + len(request.prefill)) // 4 + 1


def _tokens(payload: Any) -> tuple[int, ...]:
    return tuple(int(token) for token in payload["tokens"])


def _text(payload: Any) -> str:
    return str(payload["prompt"])
