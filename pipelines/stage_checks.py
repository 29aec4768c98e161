"""What a recipe of stages is refused for before its first stage is done, not after a day of training.

`check` needs nothing but the recipe: fields and options of every stage, and that no model is evaluated on questions
that it was trained on, as far as their sources say it. `check_here` looks for what the recipe takes from this machine:
files, models, data sets. What the size of a model decides, and what its data come to, is not known before it is there.
Loads no model and generates no more than a question of each kind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tracemill.core import plugins
from tracemill.core.errors import InputError, NotFound
from tracemill.core.ids import canonical_json
from tracemill.core.settings import Settings
from tracemill.corpus.selection import find
from tracemill.corpus.store import Corpus
from tracemill.factory.models import PACKAGED, resolve
from tracemill.factory.weights import model_at
from tracemill.pipelines.evaluation import evaluation_recipe
from tracemill.pipelines.generate_section import EngineSection
from tracemill.pipelines.identity import FOLDERLESS
from tracemill.pipelines.plan import check_recipe
from tracemill.pipelines.recipe import ReasoningGymSource, Recipe, Source, VerifySection
from tracemill.pipelines.recording_section import RecordingSource
from tracemill.pipelines.stages import LATER, Made, StageSection, StagesRecipe, recipe_of, train_section_of
from tracemill.pipelines.train_section import DataSection, TrainSection
from tracemill.trainers.checks import check_installed, check_rollouts
from tracemill.trainers.options import Grpo
from tracemill.trainers.presets import options_of
from tracemill.trainers.text import window_of

_SMALL, _LARGE = 10**6, 10**12
"""Parameters of models for which defaults of a batch differ."""


def check(pipeline: StagesRecipe) -> None:
    """Read every stage as it will be read. Raises InputError in one line, which begins with the field."""
    history = _History()
    for stage, section in _sections(pipeline):
        where = f"stages.{stage.name}.{stage.kind}"
        if isinstance(section, TrainSection):
            _check_training(section, where, history.is_small(section.model))
            history.trained(stage.name, section)
        elif isinstance(section, Recipe):
            with _within(where):
                recipe = evaluation_recipe(section) if stage.kind == "evaluate" else section
                check_recipe(recipe)
                if stage.kind == "evaluate":
                    history.check_unseen(recipe)
            asked = {stage.name: _Asked(section.prompts, section.hold_out)}
            history.asked.update(dict.fromkeys((stage.name, section.name), asked))
        elif stage.scratch is not None:
            with _within(where):
                stage.scratch.shape()
            history.small.add(stage.name)


def check_here(pipeline: StagesRecipe, settings: Settings) -> None:
    """Look for what stages take that no stage makes; `check` has passed. Raises InputError, NotFound or SetupError."""
    missing = {path.absolute(): where for where, path in reversed([*_files(pipeline)]) if not path.exists()}
    if missing:
        (path, where), *others = reversed(missing.items())
        more = f"; nor {', '.join(str(other) for other, _ in others)}" if others else ""
        raise InputError(f"{where}: no such file or folder: {path}{more}")
    names = {stage.name for stage in pipeline.stages}
    for where, model in _models(pipeline):
        if model not in names:
            resolve(model, settings.cache, where)
    _check_trainings(pipeline, settings)
    made = {f"{pipeline.name}-{stage.name}" for stage in pipeline.stages if stage.kind == "run"}
    for where, dataset in _datasets(pipeline):
        name, _, version = dataset.partition("@")
        if dataset in names or name in made:
            continue
        try:
            find(Corpus.open(settings.corpus), name, int(version) if version else None)
        except NotFound as error:
            raise NotFound(f"{where}: no stage makes it; {str(error).removeprefix('dataset: ')}") from error


def _sections(pipeline: StagesRecipe) -> Iterator[tuple[StageSection, TrainSection | Recipe | None]]:
    """The stages with what they are read as; names of stages stand for what these make. Raises InputError."""
    made = {stage.name: Made(stage.name, LATER) for stage in pipeline.stages}
    for stage in pipeline.stages:
        if stage.kind == "train":
            yield stage, train_section_of(stage, made)
        else:
            yield stage, recipe_of(pipeline, stage, made) if stage.kind in ("run", "evaluate") else None
        is_model = stage.kind in ("train", "scratch", "model")
        dataset = stage.name if stage.kind == "run" else None
        made[stage.name] = Made(stage.name, stage.kind, stage.name if is_model else None, dataset)


@contextmanager
def _within(where: str) -> Iterator[None]:
    """Errors inside begin with `where`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}.{error}") from error


def _check_training(section: TrainSection, where: str, is_small: bool) -> None:
    _check_options(section, f"{where}.method.{section.method.name}", is_small)
    if section.method.options.get("vllm") == "colocate" and section.cluster is None:
        raise InputError(
            f"{where}.cluster: missing; vllm: colocate in this process would keep the GPU's memory from the stages "
            "that follow: set cluster: {workers: 1, gpus: 1}"
        )
    for verifier, given in section.verify.items():
        plugins.get("verifiers", verifier, given, where=f"{where}.verify.{verifier}")
    for at, one in enumerate(section.data):
        for name in (one.of, *one.as_many_as):
            version = name.partition("@")[2]
            if "@" in name and not version.isdigit():
                raise InputError(f"{where}.data[{at}]: {version!r} is no version of a data set; give NAME@NUMBER")
    if section.prompts:
        verify = VerifySection(options=section.verify)
        with _within(where):
            check_recipe(Recipe(name="prompts", prompts=section.prompts, hold_out=section.hold_out, verify=verify))


def _check_options(section: TrainSection, where: str, is_small: bool) -> None:
    """Refuses options that suit a model of no size."""
    workers = 1 if section.cluster is None else section.cluster.workers
    refused = None
    for parameters in (_SMALL,) if is_small else (_SMALL, _LARGE):
        options = options_of(section.method.name, section.method.options, parameters, where)
        try:
            options.shared(workers)
        except InputError as error:
            refused = error
        else:
            return
    raise InputError(f"{where}.{refused}") from refused


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions of a stage."""

    prompts: tuple[Source, ...]
    hold_out: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class _History:
    """What the stages so far were made from, as far as stages made it."""

    asked: dict[str, dict[str, _Asked]] = field(default_factory=dict)
    """Of data sets the questions, of models those that they were trained on, by the stages that ask them."""
    small: set[str] = field(default_factory=set)
    """Models that are known to be small."""

    def is_small(self, model: str) -> bool:
        return model in self.small or model in PACKAGED

    def trained(self, stage: str, section: TrainSection) -> None:
        """Remember a training."""
        made_with = (section.model, section.method.options.get("preference"), *map(_name, section.data))
        self.asked[stage] = {stage: _Asked(section.prompts, section.hold_out)}
        for name in made_with:
            self.asked[stage] |= self.asked.get(str(name), {})
        if self.is_small(section.model):
            self.small.add(stage)

    def check_unseen(self, recipe: Recipe) -> None:
        """Refuses an evaluation of a model on questions that it was trained on."""
        if recipe.generate.engine in FOLDERLESS:
            return
        for at, source in enumerate(recipe.prompts):
            for stage, one in self.asked.get(recipe.generate.model, {}).items():
                if any(_shares(source, other, (*one.hold_out, *recipe.hold_out)) for other in one.prompts):
                    raise InputError(
                        f"prompts[{at}]: model {recipe.generate.model} is trained on these questions, which stage "
                        f"{stage} asks; leave them out there (hold_out), or evaluate on others"
                    )


def _name(data: DataSection) -> str:
    """Its data set's, without the version."""
    return data.of.partition("@")[0]


def _shares(one: Source, other: Source, held_out: tuple[Source, ...]) -> bool:
    """Whether the two have questions in common that are not held out."""
    kind, mine = _numbered(one)
    theirs = _numbered(other)[1]
    if _numbered(other)[0] != kind:
        return False
    first, last = max(mine.start, theirs.start), min(mine.stop, theirs.stop)
    held = [numbers for name, numbers in map(_numbered, held_out) if name == kind]
    for numbers in sorted(held, key=lambda numbers: numbers.start):
        if numbers.start <= first:
            first = max(first, numbers.stop)
    return first < last


def _numbered(source: Source) -> tuple[str, range]:
    """What its questions are of, and their numbers there: reasoning-gym makes question i of seed s from s + i."""
    if isinstance(source, ReasoningGymSource):
        kind = canonical_json({"task": source.task, "options": source.options})
        return kind, range(source.seed, source.seed + source.count)
    layout = source.layout if isinstance(source, RecordingSource) else "columns"
    named = {"path": str(source.path.absolute()), "split": source.split, "layout": layout}
    kind = canonical_json(named | {"text": source.columns.text})
    return kind, range(source.limit or sys.maxsize)


def _check_trainings(pipeline: StagesRecipe, settings: Settings) -> None:
    """What is installed for them, and whether completions fit into the window of a model that is here."""
    windows: dict[str, int | None] = {}
    for stage, section in _sections(pipeline):
        if stage.model is not None:
            windows[stage.name] = _window(stage.model, settings)
        elif stage.scratch is not None:
            windows[stage.name] = stage.scratch.context
        elif isinstance(section, TrainSection):
            model, method = section.model, section.method
            windows[stage.name] = windows[model] if model in windows else _window(model, settings)
            options = options_of(method.name, method.options, _SMALL, f"stages.{stage.name}.train.method.{method.name}")
            check_installed(options)
            with _within(f"stages.{stage.name}"):
                if isinstance(options, Grpo):
                    check_rollouts(options, windows[stage.name])


def _window(model: str, settings: Settings) -> int | None:
    """None where it is not known before it is fetched."""
    found = resolve(model, settings.cache)
    return None if model_at(found) is None else window_of(found)


def _files(pipeline: StagesRecipe) -> Iterator[tuple[str, Path]]:
    """The files that questions come from, each with the field that names it."""
    for stage, section in _sections(pipeline):
        for name in ("prompts", "hold_out"):
            for at, source in enumerate(() if section is None else getattr(section, name)):
                if not isinstance(source, ReasoningGymSource):
                    yield f"stages.{stage.name}.{stage.kind}.{name}[{at}].path", source.path


def _models(pipeline: StagesRecipe) -> Iterator[tuple[str, str]]:
    """The models that are loaded here, with their fields."""
    for stage, section in _sections(pipeline):
        where = f"stages.{stage.name}.{stage.kind}"
        if isinstance(section, TrainSection):
            yield f"{where}.model", section.model
            if preference := section.method.options.get("preference"):
                yield f"{where}.method.{section.method.name}.preference", str(preference)
        elif isinstance(section, Recipe):
            mix = {f"generate.mix[{at}]": one for at, one in enumerate(section.generate.mix)}
            judge = {} if section.judge is None else {"judge": section.judge}
            engines: Mapping[str, EngineSection] = {"generate": section.generate, **mix, **judge}
            for place, engine in engines.items():
                if engine.engine not in FOLDERLESS:
                    yield f"{where}.{place}.model", engine.model
        elif stage.model is not None:
            yield where, stage.model


def _datasets(pipeline: StagesRecipe) -> Iterator[tuple[str, str]]:
    """The data sets that models are trained on, with their fields."""
    for stage, section in _sections(pipeline):
        for at, one in enumerate(section.data if isinstance(section, TrainSection) else ()):
            where = f"stages.{stage.name}.train.data[{at}]"
            yield f"{where}.of", one.of
            yield from ((f"{where}.as_many_as", name) for name in one.as_many_as)
