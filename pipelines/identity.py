"""What makes a job the same job: see docs/design/002."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracemill.core.ids import canonical_json, content_id
from tracemill.factory.weights import fingerprint, named_folder
from tracemill.pipelines.generate_section import EngineSection, GenerateSection
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.tasks import Tasks
from tracemill.verifiers.judge import Judge

PLACEMENT = {"concurrency", "gpus", "replicas", "gpu_seconds"}
"""Where and how fast samples are made, which is no part of what they are."""
LATER = ("weight", "strategy", "retry", "budget", "mix", "logprobs")
"""Settings that did not exist in the first format of recipes."""
FOLDERLESS = {"openai", "replay", "fake"}
"""Engines that load no folder from this machine, whatever their model is called."""
SAMPLING = {"extra_body", "opens_thinking"}
"""Options of a server's engine that bear on what it answers."""


def job_id(recipe: Recipe, tasks: Tasks, recorded: str = "") -> str:
    """The same name, prompts, generation settings and verifiers are the same job, which a second run goes on with.

    Prompts count by content, not by file name: a corrected reference is another job, so that no trace that was judged
    against the old one is left in its data set. Filters and selection are left out: they can change, and the job's
    traces are sifted again without generating. So is `verify.majority`, whose verdicts are made from stored traces.
    The judge's settings count where a verifier asks it, `recorded`, the id of recorded completions, where an engine
    replays them: the same prompts with other completions are another import. Of a model that is a folder on this
    machine the weights count: trained further under the same path, it is another model. An evaluation is no run of its
    recipe: it would take that job's place, with nothing sifted.
    """
    parts: dict[str, Any] = {
        "name": recipe.name,
        "generate": _generation(recipe.generate),
        "verify": recipe.verify.model_dump(mode="json", exclude=_aside(recipe)),
        "examples": [[one.model_dump() for one in source.examples] for source in recipe.prompts],
    }
    if Judge.name in {*recipe.verify.also, *tasks.verifiers} and recipe.judge is not None:
        parts["judge"] = recipe.judge.model_dump(mode="json", exclude=PLACEMENT) | _options(recipe.judge)
    if recipe.generate.adaptive is not None:  # it spends samples at the window's edges
        low, high = recipe.select.pass_rate
        parts["pass_rate"] = [low, high]
    engines = (recipe.generate, *recipe.generate.mix, *([recipe.judge] if "judge" in parts and recipe.judge else []))
    if weights := {one.model: found for one in engines if (found := _weights(one))}:
        parts["weights"] = weights
    if recipe.purpose != "data":
        parts["purpose"] = recipe.purpose
    if "replay" in {one.engine for one in (recipe.generate, *recipe.generate.mix)}:
        parts["recorded"] = recorded
    return content_id("job", canonical_json(parts), *sorted(tasks.ids()))


def folders(recipe: Recipe) -> list[Path]:
    """The model folders that a recipe names, whether or not they are there."""
    engines = (recipe.generate, *recipe.generate.mix, *([] if recipe.judge is None else [recipe.judge]))
    named = (named_folder(one.model) for one in engines if one.engine not in FOLDERLESS)
    return list(dict.fromkeys(folder for folder in named if folder is not None))


def _generation(section: GenerateSection) -> dict[str, Any]:
    """What of it makes another job. Settings that came later count where they are not at their defaults."""
    values = section.model_dump(mode="json", exclude={*PLACEMENT, *LATER}) | _changed(section, set(LATER))
    if "strategy" in values:  # a job whose budget is raised goes on
        options = {name: value for name, value in section.strategy.options.items() if name != "budget_tokens"}
        values["strategy"] = {"name": section.strategy.name, "options": options}
    if section.mix:
        values["mix"] = [_changed(one, set(type(one).model_fields)) | _options(one) for one in section.mix]
    return values | _options(section)


def _weights(section: EngineSection) -> str:
    """What the section's model folder holds; "" where it names none, or its engine loads none."""
    return "" if section.engine in FOLDERLESS else fingerprint(section.model)


def _changed(section: EngineSection, names: set[str]) -> dict[str, Any]:
    return section.model_dump(mode="json", include=names, exclude=PLACEMENT, exclude_defaults=True)


def _options(section: EngineSection) -> dict[str, Any]:
    """Where a server stands, and how often it is asked, may change within a job."""
    if section.engine != "openai":
        return {"engine_options": section.engine_options}
    return {"engine_options": {name: section.engine_options[name] for name in SAMPLING & section.engine_options.keys()}}


def _aside(recipe: Recipe) -> set[str]:
    """Keys of `verify` that are no part of the job; without options a job is what it was before there were any."""
    return {"majority"} if recipe.verify.options else {"majority", "options"}
