"""An engine without a model: for tests, and for trying a recipe in seconds (`engine: fake`).

Deterministic: what it answers depends on the request alone. It can be slow and it can die.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tracemill.core.errors import EngineError
from tracemill.core.ids import content_id
from tracemill.core.types import Completion, Request
from tracemill.factory.thinking import BOXED_INSTRUCTION

_SUM = re.compile(r"-?\d+(?:\s*[+*-]\s*\d+)+")


def last_question(request: Request) -> str:
    """The text of the question that the request asks, without the worked examples."""
    return request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content


def arithmetic(request: Request) -> str:
    """Works out the last sum in the question, as a weak model would: 6 in 10 right, 2 wrong, 2 malformed."""
    dice = int(content_id("fake", request.id)[:8], 16) % 10
    opening = "" if request.prefill else "<think>\n"
    found = _SUM.findall(last_question(request))
    if not found or dice == 0:
        return f"{opening}I do not know how to do this."
    terms = re.findall(r"[+*-]?\s*\d+", found[-1])
    value = 0
    for term in terms:
        sign, digits = re.match(r"([+*-]?)\s*(\d+)", term).groups()  # type: ignore[union-attr]
        value = value * int(digits) if sign == "*" else value + int(f"{sign or '+'}{digits}")
    shown = value + (dice in (2, 3))
    chain = f"{opening}The question asks for {found[-1].strip()}. I work from left to right and get {shown}."
    return chain + _answer(request, str(shown), is_malformed=dice == 1)


def _answer(request: Request, shown: str, is_malformed: bool) -> str:
    """The end of the reasoning and the answer, marked as the think format of the request asks."""
    if request.stop:  # r1, r1_zero: it ends with </answer>
        return f"\n</think>\n<answer>\n{shown}" + ("" if is_malformed else "\n</answer>")
    if BOXED_INSTRUCTION in last_question(request):
        return "\n</think>\n" + (shown if is_malformed else f"\\boxed{{{shown}}}")
    return "" if is_malformed else f"\n</think>\n{shown}"


@dataclass
class FakeEngine:
    """Answers each request with `script(request)`, which continues the prefill."""

    script: Callable[[Request], str] = arithmetic
    seconds: float = 0.0
    """Time that each request takes."""
    dies_after: int | None = None
    """Number of completions after which the engine is dead: every later request raises EngineError."""
    completed: list[str] = field(default_factory=list)
    """Ids of the requests that were answered, in order."""

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(self.seconds)
        if self.dies_after is not None and len(self.completed) >= self.dies_after:
            raise EngineError(f"the fake engine died after {self.dies_after} completions")
        text = self.script(request)
        words = text.split()
        self.completed.append(request.id)
        cut = len(words) > request.sampling.max_tokens
        return Completion(
            request_id=request.id,
            text=" ".join(words[: request.sampling.max_tokens]) if cut else text,
            prompt_tokens=len(last_question(request).split()),
            completion_tokens=min(len(words), request.sampling.max_tokens),
            finish_reason="length" if cut else "stop",
        )
