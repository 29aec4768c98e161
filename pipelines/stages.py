"""A recipe of stages: data made, models trained on it, models evaluated, each stage with what the ones before it made.

A stage's name stands for what it made wherever a later one names a model or a data set. What a stage makes is found
again by its content (jobs, data set versions, runs), so a pipeline that was stopped goes on at its stage, and one whose
last stage was changed does only that one. Knows nothing of how a stage is done; what is refused before the first one is
done stands in `pipelines.stage_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tracemill.core.errors import InputError, nearest
from tracemill.pipelines.evaluation import Evaluation
from tracemill.pipelines.recipe import Recipe, parsed
from tracemill.pipelines.section import Section
from tracemill.pipelines.train_section import TrainSection
from tracemill.trainers.scratch import Shape

_SHAPE = Shape()
LATER = "later"
"""Kind of a stage whose turn has not come."""
KINDS = ("run", "train", "evaluate", "scratch", "model")


class ScratchSection(Section):
    """A small Llama with random weights, for recipes at toy size."""

    layers: int = _SHAPE.layers
    width: int = _SHAPE.width
    heads: int = _SHAPE.heads
    context: int = Field(_SHAPE.context, description="longest prompt and completion, in tokens")
    letters: str = Field(_SHAPE.letters, description="characters that it knows; unset: those of ASCII")
    seed: int = Field(0, description="of its weights")

    def shape(self) -> Shape:
        """The same as the trainers know it. Raises InputError."""
        return Shape(self.layers, self.width, self.heads, self.context, self.letters)


class StageSection(Section):
    """One stage: exactly one of `run`, `train`, `evaluate`, `scratch` and `model`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="what later stages call what it makes")
    run: dict[str, Any] | None = Field(None, description="a recipe without its name: makes a data set")
    train: dict[str, Any] | None = Field(None, description="as in a file for `tracemill train`: makes a model")
    evaluate: dict[str, Any] | None = Field(None, description="a recipe without its name: figures of a model")
    scratch: ScratchSection | None = Field(None, description="a small model with random weights")
    model: str | None = Field(None, description="a model that is there: a folder, owner/name or packaged model")

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> StageSection:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise PydanticCustomError("kind", f"stage {self.name}: give exactly one of {', '.join(KINDS)}")
        return self


class StagesRecipe(Section):
    """A pipeline: stages that are done one after the other."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="begins the names of its jobs and models")
    description: str = ""
    shared: dict[str, Any] = Field({}, description="not read: a place for what YAML anchors share between stages")
    stages: tuple[StageSection, ...] = Field(min_length=1)
    full: dict[str, dict[str, Any] | None] = Field(
        {},
        description="what differs at full size (`tracemill run --full`), by stage: fields of its section that replace "
        "its own, a section of another kind, or null for a stage that is left out",
    )

    @field_validator("stages")
    @classmethod
    def _unlike(cls, stages: tuple[StageSection, ...]) -> tuple[StageSection, ...]:
        names = [stage.name for stage in stages]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError("names", f"two stages are called {name}")
        return stages

    @model_validator(mode="after")
    def _full_of_stages(self) -> StagesRecipe:
        names = [stage.name for stage in self.stages]
        for name in self.full:
            if name not in names:
                raise PydanticCustomError("full", f"full: no stage is called {name!r}{nearest(name, names)}")
        return self


def at_full_size(pipeline: StagesRecipe) -> StagesRecipe:
    """The pipeline with what its `full` says. Raises InputError where that makes no stage, or where it says nothing."""
    if not pipeline.full:
        raise InputError(f"--full: {pipeline.name} states no full size; leave it out")
    stages = [
        _enlarged(stage, pipeline.full.get(stage.name, {}))
        for stage in pipeline.stages
        if pipeline.full.get(stage.name, {}) is not None
    ]
    return pipeline.model_copy(update={"stages": tuple(stages), "full": {}})


def _enlarged(stage: StageSection, change: Mapping[str, Any] | None) -> StageSection:
    own, changed = stage.model_dump(), dict(change or {})
    section, wanted = own[stage.kind], changed.get(stage.kind)
    if not changed:
        return stage
    if isinstance(section, Mapping) and isinstance(wanted, Mapping):
        changed[stage.kind] = {**section, **wanted}
    return parsed({"name": stage.name, **changed}, StageSection, f"full.{stage.name}")


@dataclass(frozen=True, slots=True)
class Made:
    """What a stage made, by the names under which later stages take it."""

    stage: str
    kind: str
    model: str | None = None
    """Folder of a model."""
    dataset: str | None = None
    """`NAME@VERSION`."""
    evaluation: Evaluation | None = None
    told: str = ""
    """In one line, for people."""

    def lacks(self, wanted: str) -> str:
        """Why it is not what a later stage wants of it."""
        if self.kind == LATER:
            return f"stage {self.stage} comes later"
        makes = {"run": "a data set", "evaluate": "an evaluation"}.get(self.kind, "a model")
        return f"stage {self.stage} makes no {wanted} but {makes}"


def recipe_of(pipeline: StagesRecipe, stage: StageSection, made: Mapping[str, Made]) -> Recipe:
    """The recipe of a `run` or `evaluate` stage, with what earlier stages made in place of their names."""
    where = f"stages.{stage.name}.{stage.kind}"
    data = dict(getattr(stage, stage.kind))
    if "name" in data:
        raise InputError(f"{where}.name: the stage's name is its name; leave it out")
    for place in ("generate", "judge"):
        if isinstance(data.get(place), Mapping):
            data[place] = _with_model(data[place], made, f"{where}.{place}")
    return parsed({"name": f"{pipeline.name}-{stage.name}", **data}, Recipe, where)


def train_section_of(stage: StageSection, made: Mapping[str, Made]) -> TrainSection:
    """The section of a `train` stage, with what earlier stages made in place of their names."""
    where = f"stages.{stage.name}.train"
    data = _with_model(dict(stage.train or {}), made, where)
    if isinstance(data.get("data"), list):
        data["data"] = [_with_dataset(one, made, f"{where}.data[{at}]") for at, one in enumerate(data["data"])]
    method = data.get("method")
    if isinstance(method, Mapping) and isinstance(method.get("grpo"), Mapping) and "preference" in method["grpo"]:
        options = dict(method["grpo"])
        options["preference"] = _model(options["preference"], made, f"{where}.method.grpo.preference")
        data["method"] = {"grpo": options}
    return parsed(data, TrainSection, where)


def _with_model(data: Mapping[str, Any], made: Mapping[str, Made], where: str) -> dict[str, Any]:
    found = dict(data)
    if "model" in found:
        found["model"] = _model(found["model"], made, f"{where}.model")
    if isinstance(found.get("mix"), list):
        found["mix"] = [
            _with_model(one, made, f"{where}.mix[{at}]") if isinstance(one, Mapping) else one
            for at, one in enumerate(found["mix"])
        ]
    return found


def _model(name: Any, made: Mapping[str, Made], where: str) -> Any:
    if not isinstance(name, str) or name not in made:
        return name
    if made[name].model is None:
        raise InputError(f"{where}: {made[name].lacks('model')}{_models(made)}")
    return made[name].model


def _models(made: Mapping[str, Made]) -> str:
    return nearest("", [name for name, one in made.items() if one.model is not None])


def _with_dataset(data: Any, made: Mapping[str, Made], where: str) -> Any:
    if isinstance(data, str):
        return _dataset(data, made, f"{where}.of")
    if not isinstance(data, Mapping):
        return data
    found = dict(data)
    if "of" in data:
        found["of"] = _dataset(data["of"], made, f"{where}.of")
    if isinstance(names := data.get("as_many_as"), list):
        found["as_many_as"] = [_dataset(one, made, f"{where}.as_many_as") for one in names]
    return found


def _dataset(name: Any, made: Mapping[str, Made], where: str) -> Any:
    if not isinstance(name, str) or name not in made:
        return name
    if made[name].dataset is None:
        raise InputError(f"{where}: {made[name].lacks('data set')}")
    return made[name].dataset
