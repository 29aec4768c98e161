"""`tracemill audit`: a second checker over a sample of stored verdicts, and what it thinks otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from tracemill.cli.corpus import CorpusOption, job_here, settings_with
from tracemill.core import plugins
from tracemill.core.errors import InputError, NotFound
from tracemill.core.settings import Settings
from tracemill.core.types import Outcome, Prompt, Verifier
from tracemill.corpus.selection import find
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.pipelines.audit import Audit, Sample, Scope, as_judged, check, draw, stored
from tracemill.pipelines.engines import open_judge
from tracemill.pipelines.estimate import Estimate
from tracemill.pipelines.plan import judge_of
from tracemill.pipelines.recipe import JudgeSection
from tracemill.pipelines.references import needs_reference
from tracemill.verifiers.judge import Judge

WIDTH = 300
"""Characters shown of a question or an answer."""
_NOTHING = Prompt("", "", "", "", "", "audit")
"""A prompt without reference: what can judge an answer to it does not judge whether an answer is right."""


def audit(
    scope: Annotated[str, typer.Argument(help="id or name of a job, or NAME@VERSION of a data set")],
    checker: Annotated[str, typer.Option("--with", help="the second checker: a verifier, or judge")],
    samples: Annotated[int, typer.Option(min=1, help="verdicts to look at")] = 200,
    seed: Annotated[int, typer.Option(help="chooses them")] = 0,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, an option of the checker; repeatable")] = None,
    model: Annotated[str, typer.Option(help="the model of --with judge")] = "",
    engine: Annotated[Literal["vllm", "fake"], typer.Option(help="the engine of --with judge")] = "vllm",
    examples: Annotated[int, typer.Option(min=0, help="disagreements to show")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Let a second checker look at a stratified sample of stored verdicts: table, estimates with intervals, examples.

    It measures disagreement between two checkers, not truth. The result is stored in the table `audits`; the same audit
    of the same verdicts is read from there.
    """
    here = settings_with(corpus)
    opened = Corpus.open(here.corpus)
    options = dict(map(option_of, option or []))
    section = _judge_section(model, engine, options) if checker == Judge.name else None
    if section is None and (model or engine != "vllm"):
        raise InputError(f"--model, --engine: {checker!r} asks no model; they go with --with judge")
    second: Verifier = judge_of(section) if section else plugins.get("verifiers", checker, options, where="--with")
    if not needs_reference(_NOTHING, second):
        raise InputError(
            f"--with: {checker!r} looks at no reference, so it cannot say whether a verdict on an answer is right; "
            f"for its own verdicts: tracemill sql \"SELECT … FROM verdicts WHERE verifier = '{checker}'\""
        )
    told = section.model_dump(mode="json", exclude={"concurrency", "gpus"}) if section else options
    sample = draw(opened, scope_of(scope, opened, here), second, told, samples, seed)
    found = stored(opened, sample.audit_id)
    if found is None:
        typer.echo(f"auditing {len(sample.rows):,} of {sample.population:,} verdicts with {checker} …", err=True)
        if section is None:
            found = check(opened, sample, second, told)
        else:
            found = asyncio.run(_judged(opened, here, sample, section, told))
    shown = _shown(found.disagreements(examples), opened)
    if as_json:
        typer.echo(json.dumps(_plain(found, sample, shown), ensure_ascii=False))
    else:
        _print(found, sample, shown)


async def _judged(
    corpus: Corpus, here: Settings, sample: Sample, section: JudgeSection, told: Mapping[str, Any]
) -> Audit:
    async with open_judge(section, here) as judge:
        return await asyncio.to_thread(check, corpus, sample, judge, told, section.concurrency)


def scope_of(text: str, corpus: Corpus, here: Settings) -> Scope:
    """What the argument names: a job of the corpus by its id, one by its name, a data set. Raises NotFound."""
    name, at, version = text.rpartition("@")
    if at:
        if not version.isdigit():
            raise InputError(f"audit: {text!r} names no version; give NAME@VERSION, for example {name}@1")
        found = find(corpus, name, int(version))
        return Scope(found.job_id, found.name, found.version)
    if corpus.rows("SELECT 1 FROM traces WHERE job_id = $job LIMIT 1", {"job": text}):
        return Scope(text)
    try:
        return Scope(job_here(text, corpus, here).id)
    except NotFound:
        pass
    try:
        found = find(corpus, text)
    except NotFound:
        raise NotFound(f"audit: {text!r} is no job of {corpus.root}, by id or name, and no data set") from None
    return Scope(found.job_id, found.name, found.version)


def option_of(text: str) -> tuple[str, Any]:
    """A NAME=VALUE argument, the value in YAML. Raises InputError."""
    name, is_set, value = text.partition("=")
    if not is_set:
        raise InputError(f"--option: {text!r} has no value; give NAME=VALUE")
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--option {name}: {value!r} is no value in YAML") from error


def _judge_section(model: str, engine: str, options: Mapping[str, Any]) -> JudgeSection:
    try:
        return JudgeSection.model_validate({"model": model, "engine": engine, **options})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "--model"
        raise InputError(f"--with judge: {field}: {first['msg']}") from error


def _plain(found: Audit, sample: Sample, shown: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "audit_id": found.audit_id,
        "is_new": found.is_new,
        "scope": str(sample.scope),
        "checker": found.rows[0]["checker"],
        "checker_version": found.rows[0]["checker_version"],
        "seed": sample.seed,
        "sampled": len(found.rows),
        "population": found.population(),
        "table": found.table(),
        "false_accepts": asdict(found.false_accepts()),
        "false_rejects": asdict(found.false_rejects()),
        "examples": shown,
    }


def _shown(rows: Sequence[Row], corpus: Corpus) -> list[dict[str, Any]]:
    """Disagreements with the texts that matter."""
    items = {item.trace.id: item for item in corpus.items([row["trace_id"] for row in rows])}
    names = ("trace_id", "verifier", "outcome", "reason", "checker", "checker_outcome", "checker_reason")
    return [
        {name: row[name] for name in names}
        | {"question": item.prompt.text, "reference": item.prompt.reference, "answer": item.trace.answer}
        for row in rows
        for item in [as_judged(items[row["trace_id"]], row["label"])]
    ]


def _print(found: Audit, sample: Sample, shown: Sequence[Mapping[str, Any]]) -> None:
    first = found.rows[0]
    typer.echo(
        f"audit {found.audit_id} ({'new' if found.is_new else 'stored before'}): {sample.scope}, "
        f"{len(found.rows):,} of {sample.population:,} verdicts, by {first['checker']} {first['checker_version']}, "
        f"seed {sample.seed}\n\nrows: the stored verdict; columns: what the checker says of the sampled ones"
    )
    sizes = found.population()
    table = Table(box=None, pad_edge=False)
    table.add_column()
    for name in ("stored", "sampled", *(outcome.value for outcome in Outcome)):
        table.add_column(name, justify="right")
    for ours, theirs in found.table().items():
        if sizes[ours]:
            table.add_row(ours, f"{sizes[ours]:,}", f"{sum(theirs.values()):,}", *(f"{n:,}" for n in theirs.values()))
    Console(soft_wrap=True).print(table)
    typer.echo("\n" + _line("false accepts", "correct", "wrong", found.false_accepts()))
    typer.echo(_line("false rejects", "wrong", "correct", found.false_rejects()))
    typer.echo("disagreement with the checker, not truth: either of the two may be wrong")
    for one in shown:
        typer.echo(f"\n── trace {one['trace_id']} " + "─" * 24)
        for name in ("question", "reference", "answer"):
            text = " ".join(one[name].split())
            typer.echo(f"{name:<10} {text if len(text) <= WIDTH else text[: WIDTH - 1] + '…'}")
        typer.echo(f"{one['verifier']:<10} {one['outcome']} ({one['reason']})")
        typer.echo(f"{one['checker']:<10} {one['checker_outcome']} ({one['checker_reason']})")


def _line(name: str, ours: str, theirs: str, found: Estimate) -> str:
    if found.share is None or found.low is None or found.high is None:
        why = f"the checker decided none of {found.undecided:,}" if found.undecided else "there are none"
        return f"{name}: unknown; of {ours} verdicts, {why}"
    apart = f"; {found.undecided:,} more it could not decide" if found.undecided else ""
    return (
        f"{name}: {found.share:.1%} of {ours} verdicts (95 % interval {found.low:.1%} to {found.high:.1%}): "
        f"the checker calls {found.disagree:,} of {found.decided:,} {theirs}{apart}"
    )
