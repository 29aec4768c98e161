"""A trace with its prompt for filter tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tracemill.core.types import Item, Prompt, Sampling, Trace


@pytest.fixture(scope="session")
def make_item() -> Callable[..., Item]:
    """Builds an item from its texts; `number` makes the trace's id."""

    def build(reasoning: str, answer: str = "42", prompt: str = "6 * 7?", number: int = 0, tokens: int = 1) -> Item:
        known = Prompt(prompt, prompt, "test", "math", "42", "test")
        created = datetime(2026, 1, 1, tzinfo=UTC)
        trace = Trace(
            f"t{number}",
            prompt,
            "j",
            number,
            "m",
            "native",
            reasoning,
            answer,
            (),
            Sampling(),
            1,
            tokens,
            "stop",
            created,
        )
        return Item(known, trace)

    return build
