"""Writes docs/reference from the code: verifiers, filters, recipe, commands, endpoints, settings, tables.

`make docs` runs it; tests/test_docs.py fails where a page is not what this writes.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import typer
from pydantic import BaseModel

from tracemill.api.app import create_app
from tracemill.cli.main import app as command
from tracemill.core import plugins
from tracemill.core.errors import TracemillError
from tracemill.core.markup import FAULTS
from tracemill.core.settings import Settings
from tracemill.corpus.tables import SCHEMAS
from tracemill.factory.engines.fake import FakeOptions
from tracemill.factory.engines.openai import OpenAIOptions
from tracemill.factory.engines.replay import ReplayOptions
from tracemill.factory.engines.transformers import TransformersOptions
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.pipelines import generate_section, recipe, recording_section, stages, train_section
from tracemill.trainers import options as training_options
from tracemill.trainers.presets import PRESETS
from tracemill.trainers.rewards import Weights

REFERENCE = Path(__file__).parent / "reference"
Page = Iterator[str]


def pages() -> dict[str, str]:
    """Every page of the reference: file name → Markdown."""
    made = {
        "verifiers.md": verifiers(),
        "filters.md": filters(),
        "recipe.md": recipe_keys(),
        "training.md": training(),
        "commands.md": commands(),
        "endpoints.md": endpoints(),
        "settings.md": settings(),
        "tables.md": tables(),
    }
    return {name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _plugins(kind: plugins.Kind) -> Page:
    for name, module in plugins.load(kind).items():
        yield f"\n## {name}\n\n{(module.__doc__ or '').strip()}\n"
        told = dict(_told(type(module.plugin)))
        options = [field for field in dataclasses.fields(module.plugin) if field.init]
        for option in options:
            default = getattr(module.plugin, option.name)
            yield f"- `{option.name}` (default `{default!r}`){told.get(option.name, '')}"


def verifiers() -> Page:
    yield "# Verifiers\n\nA verdict is `correct`, `wrong`, `unparsed` (no answer found) or `undecided` (could not be judged)."
    yield from _plugins("verifiers")
    yield "\n## Faults that `format` reports\n"
    yield from (f"- `{name}`: {meaning}" for name, meaning in FAULTS.items())
    yield "\n## Examples\n\nThe contract test runs these rows.\n"
    for name, module in plugins.load("verifiers").items():
        for row in cast("tuple[plugins.VerifierExample, ...]", module.EXAMPLES):
            yield f"- {name}: {row.why} → `{row.outcome.value}`"


def filters() -> Page:
    yield "# Filters\n\nA filter refuses single traces, a sieve looks at the whole set. Nothing is deleted: a refusal is a row"
    yield "in `drops` with its reason.\n"
    yield (REFERENCE.parent / "calibration.md").read_text()
    yield from _plugins("filters")


def _keys(section: type[BaseModel]) -> Page:
    for name, field in section.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        kind = (
            str(field.annotation)
            .replace("typing.", "")
            .replace("tracemill.pipelines.recipe.", "")
            .replace("tracemill.pipelines.generate_section.", "")
            .replace("tracemill.pipelines.train_section.", "")
            .replace("tracemill.pipelines.stages.", "")
        )
        kind = kind.removeprefix("<class '").removesuffix("'>")
        if "FieldInfo" in kind:  # a list of one of several sections
            kind = "list of sources, as in a recipe" if section is not recipe.Recipe else "list of sources"
        yield f"- `{name}` ({kind}, {default})" + (f": {field.description}" if field.description else "")


def _default(value: Any) -> str:
    """A section has defaults of its own; the items of a list are told by their names; what is long is described."""
    if isinstance(value, BaseModel) or (isinstance(value, str) and len(value) > 60):
        return "optional"
    if isinstance(value, tuple):
        return f"default `[{', '.join(str(getattr(one, 'name', one)) for one in value)}]`"
    return f"default `{value}`"


def _sections(sections: dict[str, type[BaseModel]]) -> Page:
    for title, section in sections.items():
        yield f"\n## {title}\n\n{inspect.getdoc(section) or ''}\n"
        yield from _keys(section)


def recipe_keys() -> Page:
    yield "# The recipe\n\nA YAML file; unknown keys are refused. Shipped ones are in `pipelines/recipes/`."
    sections: dict[str, type[BaseModel]] = {
        "the top": recipe.Recipe,
        "prompts, source reasoning_gym": recipe.ReasoningGymSource,
        "prompts, source jsonl, parquet or datasets": recipe.FileSource,
        "prompts.columns": recipe.ColumnsSection,
        "prompts, source recording": recording_section.RecordingSource,
        "prompts.columns of a recording": recording_section.RecordedColumnsSection,
        "prompts.examples": recipe.ExampleSection,
        "generate": generate_section.GenerateSection,
        "generate.strategy": generate_section.StrategySection,
        "generate.retry": generate_section.RetrySection,
        "generate.budget": generate_section.BudgetSection,
        "generate.mix": generate_section.MixSection,
        "verify": recipe.VerifySection,
        "verify.majority": recipe.MajoritySection,
        "judge": recipe.JudgeSection,
        "filters": recipe.FilterSection,
        "select": recipe.SelectSection,
    }
    yield from _sections(sections)
    for title, kind in OPTIONS.items():
        yield f"\n## {title}\n"
        yield from _options(kind)


def training() -> Page:
    yield "# Training\n\nA file for `tracemill train`, and the stages of a pipeline ([how](../how-to/train.md))."
    sections: dict[str, type[BaseModel]] = {
        "a file with train": train_section.TrainRecipe,
        "train": train_section.TrainSection,
        "train.data": train_section.DataSection,
        "train.method": train_section.MethodSection,
        "train.cluster": train_section.ClusterSection,
        "a file with stages": stages.StagesRecipe,
        "stages": stages.StageSection,
        "stages, scratch": stages.ScratchSection,
    }
    yield from _sections(sections)
    kinds: dict[str, type] = {
        "options of every method": training_options.Options,
        **{f"train.method.{name}": kind for name, kind in training_options.KINDS.items()},
        "train.method.grpo.rewards": Weights,
    }
    for title, options in kinds.items():
        yield f"\n## {title}\n\n{(inspect.getdoc(options) or '').strip()}\n"
        yield from _options(options)
    yield "\n## train.method.….preset\n\nPublished hyper-parameters; their sources stand in `trainers/presets.py`.\n"
    for name, (method, values) in PRESETS.items():
        yield f"- `{name}` ({method}): " + ", ".join(f"`{key}: {value}`" for key, value in values.items())


OPTIONS = {
    "generate.strategy.adaptive": AdaptiveOptions,
    "generate.engine_options, engine transformers": TransformersOptions,
    "generate.engine_options, engine openai": OpenAIOptions,
    "generate.engine_options, engine replay": ReplayOptions,
    "generate.engine_options, engine fake": FakeOptions,
}
"""Options of strategies and engines. Those of vllm are vLLM's own engine arguments."""
GIVEN = ("model", "concurrency", "reproducible")
"""Fields of engines' options that are no options: the section has them."""


def _told(kind: type) -> Iterator[tuple[str, str]]:
    """The docstrings under the fields of a dataclass."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield ast.unparse(node.target), ": " + " ".join(str(after.value.value).split())


def _options(kind: type) -> Page:
    """The fields of an options class with the docstrings under them."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    under = [*body[1:], None]
    for node, after in zip(body, under, strict=True):
        if (
            not isinstance(node, ast.AnnAssign)
            or "ClassVar" in ast.unparse(node.annotation)
            or (name := ast.unparse(node.target)) in GIVEN
        ):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = ": " + " ".join(str(after.value.value).split())
        default = "required" if node.value is None else f"default `{ast.unparse(node.value)}`"
        default = default.replace("field(default_factory=Weights)", "those below")
        yield f"- `{name}` ({ast.unparse(node.annotation)}, {default}){text}"


def commands() -> Page:
    yield "# Commands\n\nA command ends with 0, or with one line that says why and one of these codes:\n"
    for error in TracemillError.__subclasses__():
        yield f"- {error.exit_code}: {(error.__doc__ or '').splitlines()[0]}"
    for name, one in sorted(_walk(typer.main.get_command(command), "tracemill")):
        yield f"\n## {name}\n\n{(one.help or '').strip()}\n"
        for parameter in one.params:
            shown = parameter.name if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
            yield f"- `{shown}`: {parameter.help or ''}"


def _walk(command: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name; groups have `commands`."""
    if not hasattr(command, "commands"):
        yield prefix, command
        return
    if command.invoke_without_command:
        yield prefix, command
    for name, one in command.commands.items():
        yield from _walk(one, f"{prefix} {name}")


def endpoints() -> Page:
    yield '# Endpoints\n\nThe service\'s own `/docs` has schemas and examples. An error is `{"error": "one line"}`.\n'
    here = Settings().model_copy(update={"jobs_url": "sqlite://"})
    for path, methods in create_app(here).openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"- `{method.upper()} {path}`: {operation['description']}"


def settings() -> Page:
    yield "# Settings\n\nEnvironment variables; what a data set is made of stands in its recipe.\n"
    for name, field in Settings.model_fields.items():
        yield f"- `TRACEMILL_{name.upper()}` (default `{field.default}`): {field.description}"


def tables() -> Page:
    yield "# Tables\n\nDelta Lake tables in the corpus folder, and in `tracemill sql`. Views: `metrics` has one row a trace, no text;"
    yield "`drops` the drops that stand, `every_drop` also those that were lifted; `latest_verdicts` and `latest_anatomy` the"
    yield "newest of each trace and verifier, or labeller; `latest_training` and `latest_evaluations` each figure as it was"
    yield "logged or computed last."
    for name, schema in SCHEMAS.items():
        yield f"\n## {name}\n"
        yield from (f"- `{field.name}` {field.type}" for field in schema)


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for file, text in pages().items():
        (REFERENCE / file).write_text(text)
