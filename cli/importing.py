"""`tracemill import`: an existing trace set into the corpus, with verdicts, filters, selection and funnel as a job's.

It writes a recipe that replays what is recorded, shows it, and runs it like `tracemill run`. Doing it again is a no-op.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tracemill.cli.corpus import CorpusOption, settings_with
from tracemill.cli.run import run_here
from tracemill.core.errors import InputError, nearest
from tracemill.factory.recording import LayoutName, Survey
from tracemill.pipelines import orders
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.recording_section import RecordedColumnsSection, RecordingSource

TAKEN = ("description", "verify", "judge", "filters", "select")
"""Parts of a recipe that `--recipe` may hold for an import; prompts and generation are what is recorded."""


def import_(
    path: Annotated[Path, typer.Argument(help=".jsonl, .jsonl.gz or .parquet, a folder of these, or of `datasets`")],
    layout: Annotated[LayoutName, typer.Option(help="how rows are read")] = "columns",
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, such as text=question; reference= where there is none; repeatable"),
    ] = None,
    name: Annotated[str, typer.Option(help="name of the job and its data set; unset: from the path")] = "",
    verifier: Annotated[str | None, typer.Option(help="verifier of the answers; unset: the layout's, or math")] = None,
    domain: Annotated[str | None, typer.Option(help="domain of the prompts; unset: the layout's, or math")] = None,
    model: Annotated[str | None, typer.Option(help="model that wrote it, where the rows do not say")] = None,
    thinking: Annotated[str, typer.Option(help="think format that the completions are split by")] = "native",
    samples: Annotated[int | None, typer.Option(min=1, help="completions of each prompt; unset: all")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many rows")] = None,
    split: Annotated[str, typer.Option(help="split of a folder")] = "train",
    recipe: Annotated[Path | None, typer.Option(help=f"YAML file whose {', '.join(TAKEN[1:])} are used")] = None,
    save: Annotated[Path | None, typer.Option(help="write the recipe there, for `tracemill run`")] = None,
    corpus: CorpusOption = None,
) -> None:
    """Bring recorded completions into the corpus: they get verdicts, are sifted and selected from.

    Layouts: openr1_math and openthoughts as those sets come, chat for turns (`prompt` and `completion`, or `messages`),
    columns for anything else.
    """
    columns = columns_of(column or [])
    given = {"layout": layout, "columns": columns, "split": split, "verifier": verifier, "domain": domain}
    told = given | {"model": model, "limit": limit}
    source = {"source": "recording", "path": str(path)} | _set(told, RecordingSource)
    made: dict[str, Any] = {"name": name or _name_of(path), "prompts": [source]}
    made["generate"] = {"engine": "replay", "thinking": thinking, "samples": 1}
    made |= {} if recipe is None else parts_of(recipe)
    checked = recipes.parse(made, origin="import")
    if samples is None:
        typer.echo(f"reading {path} …", err=True)
        samples = max(1, _survey(checked.prompts).most)
    made["generate"]["samples"] = samples
    checked = recipes.parse(made, origin="import")
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    typer.echo(text)
    if save is not None:
        save.write_text(text, encoding="utf-8")
    here = settings_with(corpus)
    plan = make_plan(recipes.from_anywhere(checked))
    store = JobStore(here.jobs_url)
    orders.submit(plan.job_id, plan.recipe, "command", here, store)
    run_here(plan, here, store, again="the same command")


def columns_of(options: Sequence[str], known: Collection[str] = RecordedColumnsSection.model_fields) -> dict[str, Any]:
    """The column map that the options give. Raises InputError for an option that is none."""
    found: dict[str, Any] = {}
    for option in options:
        field, is_set, column = option.partition("=")
        if field not in known:
            raise InputError(f"--column: no field {field!r}{nearest(field, known)}")
        if not is_set or (not column and field != "reference"):
            raise InputError(f"--column: {option!r} names no column; give {field}=COLUMN")
        if field == "metadata":
            found[field] = [*found.get(field, []), column]
        else:
            found[field] = column or None
    return found


def parts_of(path: Path) -> dict[str, Any]:
    """What of a recipe file holds for an import."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--recipe: cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"--recipe: {path} is not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(read, Mapping):
        raise InputError(f"--recipe: {path}: a recipe is a mapping with the keys {', '.join(TAKEN)}")
    for key in read:
        if key not in recipes.Recipe.model_fields:
            raise InputError(f"--recipe: {path}: unknown key {key!r}{nearest(str(key), TAKEN)}")
    return {key: read[key] for key in TAKEN if key in read}


def _set(values: Mapping[str, Any], section: type[RecordingSource]) -> dict[str, Any]:
    """The values that are not what they would be unset: what is shown is what was said."""
    return {name: value for name, value in values.items() if value not in ({}, section.model_fields[name].default)}


def _name_of(path: Path) -> str:
    """A name in the form that recipes take, from the file's or folder's."""
    stem = path.absolute().name.lower().removesuffix(".gz").removesuffix(".jsonl").removesuffix(".parquet")
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:64] or "import"


def _survey(prompts: Sequence[recipes.Source]) -> Survey:
    survey = Survey()
    for source in prompts:
        assert isinstance(source, RecordingSource)
        for _ in survey.prompts(source.recording("prompts[0]")):
            pass
    return survey
