"""A prompt and a trace for verifier tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tracemill.core.types import Completion, Prompt, Request, Sampling, Trace


@pytest.fixture(scope="session")
def make_case() -> Callable[..., tuple[Prompt, Trace]]:
    """Builds a prompt and a trace from an answer, a reference and what else a test needs to say."""

    def build(
        answer: str,
        reference: str,
        prompt: str = "",
        metadata: Mapping[str, Any] | None = None,
        reasoning: str = "Some reasoning.",
        faults: tuple[str, ...] = (),
    ) -> tuple[Prompt, Trace]:
        known = Prompt("p", prompt, "test", "", reference, "test", metadata or {})
        created = datetime(2026, 1, 1, tzinfo=UTC)
        trace = Trace("t", "p", "j", 0, "m", "native", reasoning, answer, faults, Sampling(), 1, 1, "stop", created)
        return known, trace

    return build


@pytest.fixture(scope="session")
def replying() -> Callable[..., Callable[[Request], Completion]]:
    """A judge model that gives these replies in turn; it copies the request's code out of the prompt for CODE."""

    def build(*replies: str) -> Callable[[Request], Completion]:
        left = list(replies)

        def ask(request: Request) -> Completion:
            assert isinstance(request.prompt, tuple)
            code = re.findall(r'"request": "([0-9a-f]{12})"', request.prompt[-1].content)[-1]
            return Completion(request.id, left.pop(0).replace("CODE", code), 1, 1, "stop")

        return ask

    return build
