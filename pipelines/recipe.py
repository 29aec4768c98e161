"""The recipe: the file that says how a data set is made. YAML in, frozen sections out, one clear line on error.

Unknown keys are refused with the nearest known name. Paths in a recipe are relative to the current folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tracemill.core.errors import InputError, nearest
from tracemill.core.options import plainly
from tracemill.corpus.selection import Selection
from tracemill.pipelines.generate_section import EngineSection, GenerateSection
from tracemill.pipelines.recording_section import RecordingSource
from tracemill.pipelines.section import Section, short_form

S = TypeVar("S", bound=Section)

SHIPPED = Path(__file__).parent / "recipes"


class ExampleSection(Section):
    """A worked example, shown to the model as an earlier turn."""

    prompt: str
    reasoning: str
    answer: str


class ReasoningGymSource(Section):
    """Generated questions of one reasoning-gym task family."""

    source: Literal["reasoning_gym"]
    task: str = Field(description="name of the task family")
    count: int = Field(gt=0, description="number of questions")
    seed: int = Field(0, description="seed of the questions")
    options: dict[str, Any] = Field({}, description="settings of the task family")
    examples: tuple[ExampleSection, ...] = Field((), description="worked examples shown before each question")


class ColumnsSection(Section):
    """Which columns of a file hold the question and its gold answer."""

    text: str = "prompt"
    reference: str | None = Field("answer", description="null where the file has no gold answers: see verify.majority")


class FileSource(Section):
    """Questions from a file (`jsonl`, `parquet`) or a folder (`datasets`)."""

    source: Literal["jsonl", "parquet", "datasets"]
    path: Path = Field(description="file or folder; .jsonl may be .gz")
    split: str = Field("train", description="split of a `datasets` folder")
    columns: ColumnsSection = Field(ColumnsSection(), description="names of the columns")
    verifier: str = Field("math", description="verifier that judges the answers")
    domain: str = Field("math", description="domain that the prompts are filed under")
    limit: int | None = Field(None, gt=0, description="use only the first so many rows")
    examples: tuple[ExampleSection, ...] = Field((), description="worked examples shown before each question")


Source = ReasoningGymSource | FileSource | RecordingSource


class MajoritySection(Section):
    """Prompts without gold answer are allowed; the answer that most of a prompt's samples give becomes its label.

    A label is as good as the samples: of 721 MATH level 5 problems with one sample each from 12 models, 73 % of the
    labels were right with 3 votes and 93 % with 7, more than half.
    """

    min_votes: int = Field(3, ge=2, description="samples that must agree, by the prompt's own verifier")


class VerifySection(Section):
    """Which verifiers judge a trace beside its prompt's own, and how. It counts as correct when all of them agree."""

    also: tuple[str, ...] = ("format",)
    options: dict[str, dict[str, Any]] = Field(
        {}, description="options of verifiers by their names, `{language: {target: en}}`, wherever they judge"
    )
    majority: MajoritySection | None = Field(None, description="labels for prompts without gold answer")


class JudgeSection(EngineSection):
    """The model that judges; a prompt's verifier or one of `verify.also` must be `judge`.

    All but `concurrency` and `gpus` is part of the job's identity. One engine makes and judges where `engine` and
    `model` are those of `generate`, and `gpus` and `engine_options` are unset or the same.
    """

    engine: Literal["vllm", "openai", "fake"] = Field("vllm", description="`fake` compares texts, to try a recipe")
    model: str = Field("", description="packaged model, folder, or owner/name; no default, for it decides")
    concurrency: int = Field(64, gt=0, description="judgements made at once")
    prompt: str = Field("", description="own prompt with {data} and {request} in it, instead of the shipped one")
    max_tokens: int = Field(1024, gt=0, description="longest judgement, in tokens; thinking models need more")
    temperature: float = Field(0.0, ge=0)
    constrained: bool = Field(
        False, description="let it write nothing but a judgement; not for models that think first"
    )

    @model_validator(mode="after")
    def _model_is_named(self) -> JudgeSection:
        if self.engine != "fake" and not self.model:
            raise PydanticCustomError("judge_model", "name the model that judges: model: …")
        for name, own in {"model": "model", "max_num_seqs": "concurrency"}.items():
            if name in self.engine_options:
                raise PydanticCustomError("own_field", f"engine_options.{name} is set by judge.{own}")
        return self


class FilterSection(Section):
    """One filter or sieve with its options; in YAML `name` alone, or `name: {option: value}`."""

    name: str
    options: dict[str, Any] = Field({}, description="the filter's own options")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return short_form(data)


class SelectSection(Section):
    """Rejection sampling: which correct traces make the data set."""

    pass_rate: tuple[float, float] = Field((0.0, 1.0), description="keep prompts whose pass rate lies within")
    per_prompt: int | None = Field(None, gt=0, description="most traces a prompt")
    order: Literal["shortest", "longest", "first", "random"] = Field("shortest", description="which ones come first")
    seed: int = Field(0, description="seed of order `random`")

    def selection(self) -> Selection:
        """The same as the corpus knows it."""
        return Selection(self.pass_rate, self.per_prompt, self.order, self.seed)

    @field_validator("pass_rate")
    @classmethod
    def _window(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] <= 1:
            raise PydanticCustomError("window", "must be [low, high] with 0 <= low <= high <= 1")
        return value


class Recipe(Section):
    """How a data set is made, from prompts to selection."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="name of the job and of its data set")
    description: str = ""
    prompts: tuple[Annotated[Source, Field(discriminator="source")], ...] = Field(min_length=1)
    dedup_prompts: Literal["exact", "near", "semantic"] = Field(
        "exact", description="of questions that repeat each other, ask the first only: as they stand, nearly, reworded"
    )
    hold_out: tuple[Annotated[Source, Field(discriminator="source")], ...] = Field(
        (), description="questions that are never asked here, because a model is to be evaluated on them"
    )
    generate: GenerateSection = GenerateSection()
    verify: VerifySection = VerifySection()
    judge: JudgeSection | None = None
    filters: tuple[FilterSection, ...] = (FilterSection(name="exact_duplicates"),)
    select: SelectSection = SelectSection()
    purpose: Literal["data", "evaluation"] = Field(
        "data", description="`evaluation`: made and judged only, nothing is sifted or selected (`tracemill evaluate`)"
    )

    @model_validator(mode="after")
    def _replay_has_recordings(self) -> Recipe:
        """Replaying is all or nothing: a prompt without recorded completions would get no sample."""
        if all(one.engine != "replay" for one in (self.generate, *self.generate.mix)):
            return self
        for at, source in enumerate(self.prompts):
            if not isinstance(source, RecordingSource):
                raise PydanticCustomError(
                    "replay", f"engine replay gives back what is recorded, and prompts[{at}] is no recording"
                )
        if self.generate.budget is not None or self.generate.retry or self.generate.mix:
            raise PydanticCustomError("replay", "engine replay goes with no budget, retry or mix: it generates nothing")
        return self


def from_anywhere(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths: who goes on with it may be in another folder."""

    def anchored(source: Source) -> Source:
        if isinstance(source, ReasoningGymSource):
            return source
        return source.model_copy(update={"path": Path(source.path).absolute()})

    sources = {name: tuple(map(anchored, getattr(recipe, name))) for name in ("prompts", "hold_out")}
    return recipe.model_copy(update=sources)


def parse(data: Any, origin: str = "recipe") -> Recipe:
    """Check a recipe. Raises InputError with one line that names the field and the remedy."""
    return parsed(data, Recipe, origin)


def parsed(data: Any, kind: type[S], origin: str) -> S:
    """Check a file of that kind, like `parse`."""
    if not isinstance(data, Mapping):
        raise InputError(f"{origin}: a recipe is a mapping with the keys {', '.join(kind.model_fields)}")
    own = _KINDS.keys() & kind.model_fields.keys()
    for key, command in _KINDS.items():
        if key in data and not own & data.keys():
            raise InputError(f"{origin}: a file with {key!r} is for: tracemill {command} {origin}")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _first_mistake(error, origin) from error


_KINDS = {"train": "train", "stages": "run", "prompts": "run"}
"""What tells the kinds of files apart, with the command that takes each."""


def _first_mistake(error: ValidationError, origin: str) -> InputError:
    """The first of them as one line, and how many there are."""
    errors = error.errors()
    first = errors[0]
    place = _field_path(first["loc"])
    # A list with a bad item is also too short: that is not a second mistake.
    others = sum(1 for other in errors[1:] if other["loc"] != first["loc"][: len(other["loc"])])
    more = f" (and {others} more)" if others else ""
    given = repr(first["input"])
    is_told = isinstance(first["input"], str) and given in first["msg"]
    got = f", got {given}" if isinstance(first["input"], str | int | float) and not is_told else ""
    return InputError(f"{origin}: {place + ': ' if place else ''}{plainly(first['type'], first['msg'])}{got}{more}")


def sections_of(data: list[Any], origin: str) -> tuple[FilterSection, ...]:
    """Filters as a recipe lists them. Raises InputError like `parse`."""
    try:
        return TypeAdapter(tuple[FilterSection, ...]).validate_python(data)
    except ValidationError as error:
        raise _first_mistake(error, origin) from error


def _field_path(loc: tuple[int | str, ...]) -> str:
    """prompts[0].task: pydantic's location without the names of the union's members."""
    members = {"reasoning_gym", "jsonl", "parquet", "datasets", "recording"}
    path = ""
    for at, part in enumerate(loc):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part in members and at and isinstance(loc[at - 1], int)):
            path += f".{part}" if path else part
    return path


def load(name: str) -> Recipe:
    """The recipe in a file, or a shipped one by its name (`demo`). Raises InputError."""
    return loaded(name, Recipe)


def loaded(name: str, kind: type[S]) -> S:
    """The same for another kind of file."""
    path, data = read(name)
    return parsed(data, kind, str(path))


def read(name: str) -> tuple[Path, Any]:
    """What a recipe's file holds, with its place: a file's path, or the name of a shipped one. Raises InputError."""
    path = Path(name)
    if not path.is_file():
        shipped = {file.stem: file for file in SHIPPED.glob("*.yaml")}
        if name not in shipped:
            raise InputError(f"no such recipe file: {name}{nearest(path.stem, shipped)}")
        path = shipped[name]
    try:
        return path, yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
