"""Builders of prompts, traces and verdicts: the fixture `build`, or `Build` for the scripts that tests start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tracemill.core.ids import prompt_id, trace_id
from tracemill.core.types import Drop, Outcome, Prompt, Sampling, Trace, Verdict
from tracemill.corpus.ledger import Ledger
from tracemill.corpus.store import Corpus


class Build:
    """Values with sensible defaults; any field may be given."""

    @staticmethod
    def prompt(number: int = 0, **fields: Any) -> Prompt:
        text, verifier, reference = f"What is {number} + {number}?", "math", str(2 * number)
        defaults: dict[str, Any] = {
            "id": prompt_id(text, verifier, reference), "text": text, "domain": "math", "verifier": verifier,
            "reference": reference, "source": "test", "metadata": {"number": number},
        }  # fmt: skip
        return Prompt(**defaults | fields)

    @staticmethod
    def trace(prompt: Prompt, sample: int = 0, job_id: str = "job", **fields: Any) -> Trace:
        defaults: dict[str, Any] = {
            "id": trace_id(job_id, prompt.id, sample), "prompt_id": prompt.id, "job_id": job_id, "sample": sample,
            "model": "small", "thinking": "r1", "reasoning": f"Doubling, {sample}.", "answer": prompt.reference,
            "faults": (), "sampling": Sampling(), "prompt_tokens": 10, "completion_tokens": 20 + sample,
            "finish_reason": "stop", "created_at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        }  # fmt: skip
        return Trace(**defaults | fields)

    @staticmethod
    def verdict(trace: Trace, outcome: Outcome = Outcome.CORRECT, **fields: Any) -> Verdict:
        defaults: dict[str, Any] = {
            "trace_id": trace.id, "verifier": "math", "version": "1", "outcome": outcome,
            "score": None if outcome is Outcome.UNDECIDED else float(outcome is Outcome.CORRECT),
            "reason": "equal" if outcome is Outcome.CORRECT else "different: 1 is not 2", "extracted": trace.answer,
            "elapsed_ms": 1.5,
        }  # fmt: skip
        return Verdict(**defaults | fields)

    @staticmethod
    def drop(trace: Trace, **fields: Any) -> Drop:
        return Drop(**{"trace_id": trace.id, "filter": "length", "version": "1", "reason": "too_long"} | fields)

    @staticmethod
    def store(corpus: Corpus, samples: Iterable[tuple[Trace, list[Verdict]]], job_id: str = "job") -> None:
        with Ledger.open(corpus, job_id) as ledger:
            ledger.record(list(samples))


@pytest.fixture(scope="session")
def build() -> type[Build]:
    return Build


@pytest.fixture
def corpus(root: Path | str) -> Corpus:
    """A new corpus, in a folder and in a bucket."""
    return Corpus.open(root)


@pytest.fixture
def local(tmp_path: Path) -> Corpus:
    """A new corpus in a folder, for what is of files."""
    return Corpus.open(tmp_path / "corpus")


@pytest.fixture
def remote(s3: Any) -> Corpus:
    """A new corpus in a bucket."""
    return Corpus.open(f"s3://{s3.bucket}/{uuid4().hex}")
