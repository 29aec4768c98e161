"""`tracemill verify`: judges answers in JSONL, without a corpus or a model."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from tracemill.core.errors import InputError
from tracemill.core.jsonl import json_rows
from tracemill.core.types import Outcome
from tracemill.verifiers.judging import verify_answer

REQUIRED = ("id", "verifier", "answer", "reference")


def verify(
    source: Annotated[str, typer.Option("--input", help="JSONL file, or - for standard input")] = "-",
    target: Annotated[str, typer.Option("--output", help="JSONL file, or - for standard output")] = "-",
) -> None:
    """Judge answers: rows of id, verifier, answer, reference and, where needed, prompt and metadata.

    Writes a row each, in order: id, outcome (correct, wrong, unparsed, undecided), score, reason, extracted.
    """
    counts: Counter[Outcome] = Counter()
    with ExitStack() as files:
        lines = sys.stdin if source == "-" else files.enter_context(_open(source, "r"))
        rows = _rows(lines, "<stdin>" if source == "-" else source)
        out = sys.stdout if target == "-" else files.enter_context(_open(target, "w"))
        for place, row in rows:
            try:
                verdict = verify_answer(
                    row["verifier"], row["answer"], row["reference"], row.get("prompt") or "", row.get("metadata") or {}
                )
            except InputError as error:
                raise InputError(f"{place}: {error}") from error
            counts[verdict.outcome] += 1
            result = {
                "id": row["id"],
                "outcome": verdict.outcome.value,
                "score": verdict.score,
                "reason": verdict.reason,
                "extracted": verdict.extracted,
            }
            out.write(json.dumps(result, ensure_ascii=True) + "\n")
        out.flush()
    summary = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in Outcome)
    typer.echo(f"{counts.total():,} judged: {summary}", err=True)


def _open(path: str, mode: str) -> TextIO:
    option = "--input" if mode == "r" else "--output"
    try:
        return Path(path).open(mode, encoding="utf-8")  # type: ignore[return-value]
    except OSError as error:
        raise InputError(f"{option}: cannot open {path}: {error.strerror}") from error


def _rows(lines: TextIO, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Checked rows with their place, `file:line`."""
    for place, row in json_rows(lines, name):
        for field in REQUIRED:
            if field not in row:
                raise InputError(f"{place}: no field {field!r} (a row needs {', '.join(REQUIRED)})")
        for field in ("verifier", "answer", "reference"):
            if not isinstance(row[field], str):
                raise InputError(f"{place}: field {field!r} must be text, this is {type(row[field]).__name__}")
        if not isinstance(row.get("metadata") or {}, dict) or not isinstance(row.get("prompt") or "", str):
            raise InputError(f"{place}: 'prompt' must be text and 'metadata' an object")
        yield place, row
