"""`tracemill check-references`: are the references of a recipe or a file fit to judge by? Asks no model."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.jsonl import json_rows
from tracemill.core.types import Outcome, Prompt, Verifier
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.recipe import load
from tracemill.verifiers.code import reference_solution
from tracemill.verifiers.judging import THREADS, item_of, judge

RECIPES = (".yaml", ".yml")
REASON_CHARS = 160


@dataclass(frozen=True, slots=True)
class Checked:
    """What a prompt's reference is worth."""

    id: str
    status: str
    """right, bad_reference, undecided; or readable: there is no reference solution to try it with."""
    reason: str


def check_references(
    source: Annotated[str, typer.Argument(help="a recipe (.yaml), or JSONL rows of id, verifier, reference, metadata")],
    target: Annotated[str | None, typer.Option("--output", help="JSONL file: id, status, reason of each row")] = None,
) -> None:
    """Judge each prompt's reference solution by the prompt's own tests, and print those that fail.

    Where a prompt has no reference solution its reference is only read; an answer is tried as reference of itself.
    Exit code 1 if any reference is bad.
    """
    prompts = list(_of_recipe(source) if source.endswith(RECIPES) else _of_rows(Path(source)))
    with ThreadPoolExecutor(THREADS, "references") as pool:
        found = list(pool.map(lambda pair: _checked(*pair), prompts))
    for one in found:
        if one.status in ("bad_reference", "undecided"):
            typer.echo(f"{one.id}  {one.status}  {one.reason[:REASON_CHARS]}")
    if target is not None:
        rows = (json.dumps({"id": one.id, "status": one.status, "reason": one.reason}) + "\n" for one in found)
        Path(target).write_text("".join(rows), encoding="utf-8")
    counts = Counter(one.status for one in found)
    summary = ", ".join(f"{counts[name]:,} {name}" for name in ("right", "readable", "bad_reference", "undecided"))
    typer.echo(f"{len(found):,} references: {summary}", err=True)
    if counts["bad_reference"]:
        sys.exit(1)


def _of_recipe(name: str) -> Iterator[tuple[Prompt, Verifier]]:
    made = make_plan(load(name))
    for task in made.tasks:
        yield task.prompt, made.judges[task.prompt.verifier][0]


def _of_rows(path: Path) -> Iterator[tuple[Prompt, Verifier]]:
    try:
        lines = path.open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"check-references: cannot open {path}: {error.strerror}") from error
    with lines:
        for place, row in json_rows(lines, str(path)):
            prompt = _prompt(row, place)
            yield prompt, plugins.get("verifiers", prompt.verifier, where=f"{place}: verifier")


def _prompt(row: Mapping[str, Any], place: str) -> Prompt:
    for field in ("id", "verifier", "reference"):
        if not isinstance(row.get(field), str):
            raise InputError(f"{place}: field {field!r} must be text (a row needs id, verifier, reference)")
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InputError(f"{place}: field 'metadata' must be an object")
    return Prompt(row["id"], str(row.get("prompt") or ""), "", row["verifier"], row["reference"], str(place), metadata)


def _checked(prompt: Prompt, verifier: Verifier) -> Checked:
    solution = reference_solution(prompt)
    answer = f"```\n{solution}\n```" if solution else prompt.reference
    trace = item_of(prompt.verifier, answer, prompt.reference, prompt.text, prompt.metadata).trace
    verdict = judge(prompt, trace, (verifier,))[0]
    if verdict.reason.startswith(("bad_reference", "no_reference")):
        return Checked(prompt.id, "bad_reference", verdict.reason)
    if not solution:
        return Checked(prompt.id, "right" if verdict.outcome is Outcome.CORRECT else "readable", verdict.reason)
    if verdict.outcome is Outcome.UNDECIDED:
        return Checked(prompt.id, "undecided", verdict.reason)
    return Checked(prompt.id, "right" if verdict.outcome is Outcome.CORRECT else "bad_reference", verdict.reason)
