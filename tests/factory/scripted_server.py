"""A model server that answers by script, and engines that ask it."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web

from tracemill.core.types import Completion, Message, Request, Sampling
from tracemill.factory.engines.openai import OpenAIEngine, OpenAIOptions
from tracemill.factory.engines.rate import Clock

Answer = Callable[[dict[str, Any], str], Any]
QUESTION = (Message("user", "What is 2 + 3?"),)


def chat(text: str | None, finish_reason: str = "stop", tokens: int = 7, **message: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": tokens}}


def raw(text: str, finish_reason: str = "stop", **choice: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 11, "completion_tokens": 7}
    return {"choices": [{"text": text, "finish_reason": finish_reason, **choice}], "usage": usage}


def failure(status: int, message: str = "busy", code: str | None = None, **headers: str) -> Answer:
    error = {"error": {"message": message, "code": code}}
    return lambda body, path: web.json_response(error, status=status, headers=headers)


class Server:
    """Answers with what the script says: JSON, a response, or an exception that drops the connection."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        """What is answered, one after the other; the last one again and again. A function gets the body."""
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[Any] = set()
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport.get_extra_info("peername"))  # type: ignore[union-attr]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.bodies.append(await request.json())
            self.paths.append(request.path)
            self.headers.append(dict(request.headers))
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            found = step(self.bodies[-1], request.path) if callable(step) else step
            if asyncio.iscoroutine(found):
                found = await found
            if found == "drop":
                request.transport.close()  # type: ignore[union-attr]
                return web.Response()
            if isinstance(found, str):
                return web.Response(text=found)
            return found if isinstance(found, web.Response) else web.json_response(found)
        finally:
            self.at_once -= 1


class Waits:
    """A clock that notes what is waited for, and does not wait."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def engine(server: Server, waits: Waits | None = None, **changes: Any) -> AsyncIterator[OpenAIEngine]:
    clock = None if waits is None else Clock(lambda: waits.at, waits.sleep)
    options = OpenAIOptions("m", server.url, **{"tries": 3, "timeout_s": 20.0, **changes})
    opened = OpenAIEngine(pickle.loads(pickle.dumps(options)), clock)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.close()


def request(**changes: Any) -> Request:
    return replace(Request("r", QUESTION, Sampling(temperature=0.7, max_tokens=100)), **changes)


async def completed(server: Server, script: list[Any], asked: Request, **changes: Any) -> Completion:
    server.script = script
    async with engine(server, Waits(), **changes) as opened:
        return await opened.complete(asked)


def serves(rendered: str, reply: dict[str, Any]) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """A server whose chat template renders to that text, one token a character."""

    def answer(body: dict[str, Any], path: str) -> dict[str, Any]:
        if path == "/tokenize":
            return {"tokens": [ord(letter) for letter in body.get("prompt", rendered)]}
        if path == "/detokenize":
            return {"prompt": "".join(map(chr, body["tokens"]))}
        return {"prompt": rendered} if path == "/apply-template" else reply

    return answer
