"""An engine that gives recorded completions back: for imports, and for simulations with real samples of real models.

Sample k of a prompt is its k-th recorded completion, whatever the request's sampling says. Nothing is generated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tracemill.core.ids import content_id
from tracemill.core.types import Completion, Request
from tracemill.factory.recording import Recording

UNKNOWN_MODEL = "recorded"
"""What traces are filed under where neither the rows nor the recipe say what wrote them."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How it replays."""

    seconds: float = 0.0
    """Mean time that a completion takes, to simulate an engine: 0.5 to 1.5 of it, always the same for one request."""


@dataclass(frozen=True, slots=True)
class ReplayEngine:
    """Completes requests from a recording, by their `prompt_id` and `sample`."""

    recording: Recording
    options: ReplayOptions = ReplayOptions()

    async def complete(self, request: Request) -> Completion:
        """The recorded completion. Raises RefusedRequest where there is none of that number.

        A token count that was not recorded is estimated: characters / 4, rounded up.
        """
        await asyncio.sleep(self.latency(request))  # 0 too: others get their turn
        found = self.recording.completion(request.prompt_id, request.sample)
        reasoning = found.reasoning
        if reasoning is None and request.prefill and ("<think>" in found.text or "</think>" not in found.text):
            # The text is whole, so the request's own opening must not be put before it. Only one that goes on after an
            # opening (R1 distillates' templates write the tag themselves) needs it.
            reasoning = ""
        length = len(found.text) + len(found.reasoning or "")
        return Completion(
            request_id=request.id,
            text=found.text,
            prompt_tokens=_estimate(_length(request)) if found.prompt_tokens is None else found.prompt_tokens,
            completion_tokens=_estimate(length) if found.completion_tokens is None else found.completion_tokens,
            finish_reason=found.finish_reason,
            reasoning=reasoning,
            model=found.model or UNKNOWN_MODEL,
        )

    def latency(self, request: Request) -> float:
        """Seconds that this request takes."""
        if not self.options.seconds:
            return 0.0
        return self.options.seconds * (0.5 + int(content_id("replay", request.id)[:8], 16) / 2**32)


def _length(request: Request) -> int:
    if isinstance(request.prompt, str):
        return len(request.prompt)
    return sum(len(message.content) for message in request.prompt)


def _estimate(characters: int) -> int:
    """Tokens in so many characters: English text and code have about four to the token."""
    return -(-characters // 4)
