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

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.jsonl import json_rows
from tracemill.core.types import Outcome, Verdict
from tracemill.pipelines.references import needs_reference
from tracemill.verifiers.judging import item_of, verify_answer

REQUIRED = ("id", "verifier", "answer")
"""And `reference`, where the verifier needs one; null says that there is none."""


def verify(
    source: Annotated[str, typer.Option("--input", help="JSONL file, or - for standard input")] = "-",
    target: Annotated[str, typer.Option("--output", help="JSONL file, or - for standard output")] = "-",
) -> None:
    """Judge answers: rows of id, verifier, answer and, where needed, reference, prompt and metadata.

    A reference that is no text (a number, a list of tests) is taken as JSON. Writes a row each, in order: id, outcome
    (correct, wrong, unparsed, undecided), score, reason, extracted.
    """
    counts: Counter[Outcome] = Counter()
    with ExitStack() as files:
        if source == "-" and sys.stdin.isatty():
            typer.echo("reading rows from standard input, to Ctrl-D; --input FILE reads a file", err=True)
        lines = sys.stdin if source == "-" else files.enter_context(_open(source, "r"))
        rows = _rows(lines, "<stdin>" if source == "-" else source)
        out = sys.stdout if target == "-" else files.enter_context(_open(target, "w"))
        for place, row in rows:
            try:
                verdict = _judged(row)
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


def _judged(row: Mapping[str, Any]) -> Verdict:
    """The verdict on one row. Raises InputError for an unknown verifier, or a reference that is left out and needed."""
    name, prompt, metadata = row["verifier"], row.get("prompt") or "", row.get("metadata") or {}
    reference = row.get("reference")
    if reference is not None and not isinstance(reference, str):
        reference = json.dumps(reference, ensure_ascii=False)
    if "reference" not in row:
        asked = item_of(name, row["answer"], "", prompt, metadata).prompt
        if needs_reference(asked, plugins.get("verifiers", name)):
            raise InputError(f"no field 'reference', and {name} needs one; null says that there is none")
    return verify_answer(name, row["answer"], reference or "", prompt, metadata)


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
        for field in ("verifier", "answer"):
            if not isinstance(row[field], str):
                raise InputError(f"{place}: field {field!r} must be text, this is {type(row[field]).__name__}")
        if not isinstance(row.get("metadata") or {}, dict) or not isinstance(row.get("prompt") or "", str):
            raise InputError(f"{place}: 'prompt' must be text and 'metadata' an object")
        yield place, row
