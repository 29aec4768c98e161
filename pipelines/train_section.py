"""The part of a recipe that says how a model is trained: method, model, data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tracemill.core.errors import nearest
from tracemill.pipelines.generate_section import known_format
from tracemill.pipelines.recipe import Source
from tracemill.pipelines.section import Section, short_form
from tracemill.trainers.options import KINDS, Method


class DataSection(Section):
    """Traces that a model is trained on; in YAML the name alone, or a mapping."""

    of: str = Field(description="data set, `NAME` or `NAME@VERSION` (else the newest); in stages also a stage's name")
    take: Literal["kept", "well_formed", "all"] = Field(
        "kept", description="`kept`: the data set; else traces of its job whatever was said of them, as a baseline"
    )
    rows: int | None = Field(None, gt=0, description="only so many, drawn by the seed")
    as_many_as: tuple[str, ...] = Field(
        (), description="only as many as these data sets have together, drawn by the seed: for a baseline of equal size"
    )
    share: float | None = Field(
        None, gt=0, description="share of the rows, beside the other data; the rest is left out"
    )
    reward: Literal["rule", "preference"] = Field(
        "rule", description="of GRPO: what rewards answers, the prompts' own verifiers or the reward model `preference`"
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"of": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_count(self) -> DataSection:
        if self.rows is not None and self.as_many_as:
            raise PydanticCustomError("rows", "give rows or as_many_as, not both")
        return self


class MethodSection(Section):
    """How it is trained; in YAML `sft`, or `sft: {option: value}`."""

    name: Method = Field(description="sft, grpo, dpo or reward")
    options: dict[str, Any] = Field({}, description="the method's own options, and `preset`")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return short_form(data)

    @field_validator("name", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value not in KINDS:
            raise PydanticCustomError("method", f"unknown method {value!r}{nearest(str(value), KINDS)}")
        return value


class ClusterSection(Section):
    """Training on several processes by Ray Train, on one machine or many. Only `workers` makes it another training."""

    workers: int = Field(gt=0, description="processes, each with a device")
    gpus: int = Field(0, ge=0, le=1, description="GPUs of each, 0 or 1; 0 trains on CPUs (gloo), 1 by nccl")
    cpus: float = Field(1, gt=0, description="CPUs of each")
    retries: int = Field(3, ge=0, description="how often it goes on from its last checkpoint when a worker is lost")


class TrainSection(Section):
    """How a model is trained from data sets of the corpus or, by GRPO, on prompts."""

    method: MethodSection = Field(description="sft, grpo, dpo or reward, alone or with options: `sft: {steps: 40}`")
    model: str = Field(description="packaged model, folder, owner/name or run of `tracemill train`; in stages, a stage")
    data: tuple[DataSection, ...] = Field((), description="what it is trained on; of GRPO, whose prompts are asked")
    prompts: tuple[Annotated[Source, Field(discriminator="source")], ...] = Field(
        (), description="questions for GRPO, as in a recipe"
    )
    hold_out: tuple[Annotated[Source, Field(discriminator="source")], ...] = Field(
        (), description="questions that are left out, for evaluation"
    )
    verify: dict[str, dict[str, Any]] = Field(
        {}, description="options of the verifiers that reward, by their names: `{math: {…}}`"
    )
    thinking: str = Field("r1", description="think format that the model is asked in and learns")
    seed: int = Field(0, description="seed of the order of rows and of sampling (but for vLLM's, of `vllm`)")
    cluster: ClusterSection | None = Field(None, description="train on Ray; unset: in one process here")

    @field_validator("thinking")
    @classmethod
    def _known_format(cls, value: str) -> str:
        return known_format(value)

    @model_validator(mode="after")
    def _has_data(self) -> TrainSection:
        if bool(self.data) == bool(self.prompts):
            raise PydanticCustomError("data", "name what it is trained on: data, or prompts (for grpo)")
        if self.prompts and self.method.name != "grpo":
            raise PydanticCustomError("prompts", f"{self.method.name} is trained on data, not on prompts")
        if self.verify and self.method.name != "grpo":
            raise PydanticCustomError("verify", f"verify: no verifier judges in {self.method.name}; leave it out")
        if self.hold_out and not self.prompts:
            raise PydanticCustomError("hold_out", "goes with prompts; data keeps out what its own recipe held out")
        if self.method.name in ("dpo", "reward") and any(one.take != "kept" for one in self.data):
            raise PydanticCustomError(
                "take", f"data: {self.method.name} pairs what is kept with what is wrong: take kept"
            )
        if any(one.reward == "preference" for one in self.data) and not self.method.options.get("preference"):
            raise PydanticCustomError(
                "reward", "data: reward preference needs a reward model: method: {grpo: {preference: …}}"
            )
        shares = [one.share is not None for one in self.data]
        if any(shares) and not all(shares):
            raise PydanticCustomError("share", "data: give each a share, or none of them")
        return self


class TrainRecipe(Section):
    """A file for `tracemill train`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="name of the model")
    description: str = ""
    train: TrainSection
