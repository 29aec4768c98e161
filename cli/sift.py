"""`tracemill sift`: filters and sieves over files of traces, or tried on those of a job. Needs no corpus for files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracemill.cli.corpus import CorpusOption, job_here, settings_with
from tracemill.cli.importing import columns_of
from tracemill.cli.progress import LINE_EVERY_S, sifting_line
from tracemill.core.errors import InputError
from tracemill.core.settings import settings
from tracemill.corpus.store import Corpus
from tracemill.factory.layouts import ColumnLayout, Layout
from tracemill.factory.recording import LAYOUTS, LayoutName
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.job_sifting import job_drops
from tracemill.pipelines.policy import Policy, policy_of
from tracemill.pipelines.recording_section import RecordedColumnsSection
from tracemill.pipelines.sift_files import Fate, fates, outputs, sift_files
from tracemill.pipelines.traces_of_files import Files
from tracemill.pipelines.trial import KEPT, Example, Trial, Why

DEFAULT = "length,language,readability,repetition,truncation,refusal,exact_duplicates,near_duplicates"
"""What needs no choice of the user's."""
BAR = 24
EXCERPT = 240
"""Characters of a trace that an example shows."""


def sift(
    files: Annotated[
        list[Path] | None, typer.Argument(help=".jsonl, .jsonl.gz or .parquet, or folders of these")
    ] = None,
    filters: Annotated[
        str | None, typer.Option(help="names, a YAML list as in a recipe, or a file that holds one or a recipe")
    ] = None,
    kept: Annotated[Path | None, typer.Option(help=".parquet or .jsonl file for the traces that are kept")] = None,
    dropped: Annotated[Path | None, typer.Option(help="file for those that are dropped, with the reason")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="write nothing; show what falls, with examples")] = False,
    before: Annotated[str | None, typer.Option(help="filters to compare with; of a job its own, unset: none")] = None,
    job: Annotated[str | None, typer.Option(help="try the filters on this job's correct traces (--dry-run)")] = None,
    examples: Annotated[int, typer.Option(min=0, help="traces shown on each side of the line")] = 3,
    layout: Annotated[
        LayoutName | None,
        typer.Option(help="how rows are read; unset: by the columns of the first"),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN as in `tracemill import`; correct=COLUMN for difficulty; repeatable"),
    ] = None,
    thinking: Annotated[str, typer.Option(help="think format that the completions are split by")] = "native",
    domain: Annotated[str | None, typer.Option(help="domain of the prompts; unset: the layout's, or math")] = None,
    model: Annotated[str | None, typer.Option(help="model that wrote it, where the rows do not say")] = None,
    split: Annotated[str, typer.Option(help="split of a folder")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many rows")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; unset: one a core, or a core of Ray's")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
    corpus: CorpusOption = None,
) -> None:
    """Drop traces by filters: what is kept goes to one file, what is dropped, with its reason, to another.

    Runs on all cores, or on the Ray cluster of TRACEMILL_RAY_ADDRESS. `tracemill plugins` names the filters.
    """
    if (job is None) == (not files):
        raise InputError("files: name files to sift, or a job (--job NAME)" + (", not both" if files else ""))
    trial, was = Trial(examples if dry_run else 0), _policy(before, "--before")
    if job is not None:
        _refuse(
            "--job", kept=kept, dropped=dropped, layout=layout, column=column, limit=limit, domain=domain, model=model
        )
        if not dry_run:
            raise InputError(
                "--job: a job's filters stand in its recipe; change them there and run it again, which generates "
                "nothing anew; --dry-run shows what would change"
            )
        _try_on_job(job, _policy(filters, "--filters"), was, corpus, workers, trial)
    else:
        columns = columns_of(column or [], (*RecordedColumnsSection.model_fields, "correct"))
        found = Files(
            tuple(files or ()), _layout(layout, columns), split, thinking, domain, model, columns.get("correct"), limit
        )
        policy = _policy(DEFAULT if filters is None else filters, "--filters")
        assert policy is not None
        if dry_run:
            _refuse("--dry-run", kept=kept, dropped=dropped)
            _sift_files(found, policy, was, workers, trial, lambda fate: None)
        elif kept is None or dropped is None:
            raise InputError("--kept and --dropped: name both files, or --dry-run")
        else:
            with outputs(found, kept, dropped) as write:
                _sift_files(found, policy, was, workers, trial, write)
    is_compared = job is not None or was is not None
    typer.echo(json.dumps(_plain(trial))) if as_json else _print(trial, is_compared)


def _refuse(option: str, **others: object) -> None:
    """Options that would do nothing."""
    for name, value in others.items():
        if value is not None:
            raise InputError(f"--{name}: does nothing with {option}; leave it out")


def _policy(text: str | None, where: str) -> Policy | None:
    """The policy that an option names: a file, YAML, or names with commas between. Raises InputError."""
    if text is None:
        return None
    path = Path(text)
    try:
        read: Any = yaml.safe_load(path.read_text(encoding="utf-8") if path.suffix in (".yaml", ".yml") else text)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {getattr(error, 'problem', error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: cannot read {path}: {getattr(error, 'strerror', error)}") from error
    if isinstance(read, Mapping) and "filters" in read:
        read = read["filters"]
    if isinstance(read, str):
        read = [name.strip() for name in read.split(",") if name.strip()]
    if not isinstance(read, list):
        raise InputError(f"{where}: give names with commas between, a list, or a file of a recipe's filters")
    return policy_of(recipes.sections_of(read, where), where)


def _layout(name: LayoutName | None, columns: Mapping[str, Any]) -> Layout | None:
    named = {field: value for field, value in columns.items() if field != "correct"}
    if not named:
        return None if name is None else LAYOUTS[name]
    if name not in (None, "columns"):
        raise InputError(f"--column: columns go with layout columns; {name} has its own")
    return ColumnLayout(**RecordedColumnsSection(**named).model_dump())


def _sift_files(
    files: Files,
    policy: Policy,
    before: Policy | None,
    workers: int | None,
    trial: Trial,
    write: Callable[[Fate], None],
) -> None:
    """Count what becomes of each trace, and write it."""
    address = settings().ray_address
    drops = sift_files(files, policy, _Progress(), workers, address)
    was = None if before is None else sift_files(files, before, _Progress("before: "), workers, address)
    for fate in fates(files, drops, policy.masks):
        trial.add(fate.unit.id, fate.unit.item, fate.drop, was)
        write(fate)


def _try_on_job(
    name: str, policy: Policy | None, before: Policy | None, place: str | None, workers: int | None, trial: Trial
) -> None:
    """The job's correct traces under the policy, beside its own or another one."""
    here = settings_with(place)
    corpus = Corpus.open(here.corpus)
    job = job_here(name, corpus, here)
    own = policy_of(recipes.parse(job.recipe).filters)
    was, now = before or own, policy or own
    then = job_drops(job.id, was, corpus, here, _Progress("before: "), workers)
    drops = then if now.id == was.id else job_drops(job.id, now, corpus, here, _Progress(), workers)
    for item in corpus.accepted(job.id):
        trial.add(item.trace.id, item, drops.get(item.trace.id), then)


class _Progress:
    """Says now and then how far it is; on a terminal in one line."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._last = time.monotonic()

    def __call__(self, stage: str, seen: int) -> None:
        if time.monotonic() - self._last >= (0.2 if sys.stderr.isatty() else LINE_EVERY_S):
            self._last = time.monotonic()
            line = f"  {self._prefix}{sifting_line(stage, seen)}"
            if sys.stderr.isatty():
                typer.echo(f"{line:<60}\r", err=True, nl=False)  # what comes next begins on this line
            else:
                typer.echo(line, err=True)


def _plain(trial: Trial) -> dict[str, Any]:
    def name(why: Why) -> str:
        return "kept" if why == KEPT else ": ".join(why)

    return {
        "traces": trial.traces,
        "kept": trial.kept,
        "dropped": {name(why): count for why, count in trial.reasons.most_common()},
        "changes": [
            {"before": name(was), "now": name(now), "traces": count}
            for (was, now), count in trial.changes.most_common()
        ],
        "examples": [
            {"before": name(was), "now": name(now), "id": one.id, "detail": one.detail}
            for (was, now), shown in trial.shown.items()
            for one in shown
        ],
    }


def _print(trial: Trial, compared: bool) -> None:
    console = Console(soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    rows = [("traces", trial.traces), *((": ".join(why), -count) for why, count in trial.reasons.most_common())]
    for label, count in [*rows, ("kept", trial.kept)]:
        share = abs(count) / max(trial.traces, 1)
        table.add_row(Text(label), f"{count:,}", f"{share:.1%}", "█" * round(share * BAR))
    console.print(table)
    for (was, now), shown in sorted(trial.shown.items(), key=lambda kind: (kind[0][1] == KEPT, kind[0])):
        if shown:
            _print_examples(console, _title(was, now, trial, compared), shown)


def _title(was: Why, now: Why, trial: Trial, compared: bool) -> str:
    if not compared:
        return "kept" if now == KEPT else f"dropped, {': '.join(now)}"
    count = f"{trial.changes[was, now]:,} traces"
    return f"now dropped, {': '.join(now)}: {count}" if was == KEPT else f"now kept, was {': '.join(was)}: {count}"


def _print_examples(console: Console, title: str, shown: Sequence[Example]) -> None:
    console.out(f"\n── {title} " + "─" * 24, highlight=False)
    for one in shown:
        console.out(f"{one.id}" + (f"  {one.detail}" if one.detail else ""), highlight=False)
        text = " ".join(one.text.split())
        cut = text if len(text) <= EXCERPT else f"{text[: EXCERPT * 2 // 3]} … {text[-EXCERPT // 3 :]}"
        console.out(f"    {cut}", highlight=False)
