"""Judging a program by a test set, as the tests of this folder do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tracemill.core.types import Prompt, Trace, Verdict
from tracemill.verifiers.code import Code
from tracemill.verifiers.judging import judge

Judge = Callable[..., Verdict]


@pytest.fixture(scope="session")
def judged(make_case: Callable[..., tuple[Prompt, Trace]]) -> Judge:
    """The verdict on a program (or on a whole answer) by a reference, given as JSON or as what JSON holds."""

    def build(
        code: str,
        reference: Any,
        question: str = "",
        is_answer: bool = False,
        plugin: Code | None = None,
        **metadata: Any,
    ) -> Verdict:
        text = reference if isinstance(reference, str) else json.dumps(reference)
        answer = code if is_answer else f"```\n{code}\n```"
        return judge(*make_case(answer, text, question, metadata), (plugin or Code(),))[0]

    return build
