"""The part of a recipe that says how samples are drawn: engines, think format, strategy, sampling."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tracemill.core.errors import InputError, nearest
from tracemill.core.markup import MARKUPS
from tracemill.core.options import configured
from tracemill.factory.engines.replay import UNKNOWN_MODEL
from tracemill.factory.strategies.adaptive import most_samples
from tracemill.factory.strategies.options import AdaptiveOptions
from tracemill.pipelines.section import Section, short_form

STRATEGIES = ("fixed", "adaptive")


class EngineSection(Section):
    """One engine and where it runs; `concurrency`, `gpus` and `replicas` are no part of a job's identity."""

    engine: Literal["vllm", "transformers", "openai", "replay", "fake"] = Field(
        "vllm",
        description="`transformers`: a small model in this process; `openai`: any server with that API; "
        "`replay`: what `recording` sources hold; `fake` answers sums",
    )
    model: str = Field("smollm2-135m", description="packaged model, folder, or owner/name")
    concurrency: int = Field(128, gt=0, description="sequences that a replica decodes at once")
    gpus: float | None = Field(None, ge=0, description="GPUs that a replica reserves; unset: 1 if the cluster has any")
    replicas: int | None = Field(None, gt=0, description="copies of the engine; unset: as many as there is room for")
    engine_options: dict[str, Any] = Field({}, description="further arguments of the engine by their own names")

    @property
    def model_name(self) -> str:
        """What traces are filed under: a trace of the fake engine must not pass for a model's.

        Nor may a recorded one pass for the default model's; where the recording says what wrote it, that counts.
        """
        if self.engine == "replay":
            return UNKNOWN_MODEL
        if self.engine == "fake":  # so that a mix can be tried
            is_unnamed = self.model in ("", EngineSection.model_fields["model"].default)
            return "fake" if is_unnamed else f"fake:{self.model}"
        return self.model


class MixSection(EngineSection):
    """A further engine of the mix: each sample is made by one of them, drawn by weight."""

    thinking: str | None = Field(None, description="its think format, where it is another one")
    weight: float = Field(1.0, gt=0, description="its share of the samples")

    @field_validator("thinking")
    @classmethod
    def _known_format(cls, value: str | None) -> str | None:
        return None if value is None else known_format(value)


class RetrySection(Section):
    """A variant that prompts without any correct sample are tried with again."""

    samples: int = Field(gt=0, description="samples of this variant")
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    prompt: str | None = Field(
        None, description="what is asked instead; {text} stands for the question, {reference} for its answer (STaR)"
    )

    @model_validator(mode="after")
    def _differs(self) -> RetrySection:
        if self.temperature is None and self.top_p is None and self.prompt is None:
            raise PydanticCustomError("same", "set temperature, top_p or prompt: the same again is `samples`")
        if self.prompt is not None and "{text}" not in self.prompt:
            raise PydanticCustomError("prompt", "prompt must hold {text}, which stands for the question")
        return self


class BudgetSection(Section):
    """How long a model thinks: budget forcing (s1, arXiv 2501.19393). Tokens are the model's."""

    min_tokens: int = Field(0, ge=0, description="thinking that would end before goes on after `wait`")
    max_tokens: int = Field(gt=0, description="thinking is ended here, and the answer asked for")
    answer_tokens: int = Field(512, gt=0, description="longest answer")
    waits: int = Field(2, ge=0, description="most continuations of one chain")
    wait: str = Field("Wait", min_length=1, description="word that thinking goes on with")
    final: str = Field("Final Answer:", description="what opens the answer then, where no <answer> tag does")

    @model_validator(mode="after")
    def _in_order(self) -> BudgetSection:
        if self.min_tokens > self.max_tokens:
            raise PydanticCustomError("budget", "min_tokens is above max_tokens")
        return self


class StrategySection(Section):
    """How many samples a prompt gets; in YAML `fixed`, or `adaptive: {option: value}`."""

    name: str = Field(description="fixed or adaptive")
    options: dict[str, Any] = Field({}, description="the strategy's own options")

    @model_validator(mode="after")
    def _known(self) -> StrategySection:
        if self.name not in STRATEGIES:
            hint = nearest(self.name, STRATEGIES)
            raise PydanticCustomError("strategy", f"unknown strategy {self.name!r}{hint}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return short_form(data)


class GenerateSection(EngineSection):
    """How samples are drawn. All but where the engine runs is part of the job's identity."""

    thinking: str = Field("r1", description="think format: r1, r1_zero, boxed, native")
    samples: int = Field(8, gt=0, description="samples a prompt")
    strategy: StrategySection = Field(StrategySection(name="fixed"), description="fixed, or adaptive: {option: value}")
    gpu_seconds: float | None = Field(None, gt=0, description="draw no more in this run once so many are spent")
    retry: tuple[RetrySection, ...] = Field((), description="variants for prompts without any correct sample")
    budget: BudgetSection | None = Field(None, description="least and most thinking; `max_tokens` is not used then")
    mix: tuple[MixSection, ...] = Field((), description="further engines that share the samples, by weight")
    weight: float = Field(1.0, gt=0, description="share of this engine, beside those of `mix`")
    temperature: float = Field(0.7, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0 considers all tokens")
    max_tokens: int = Field(1024, gt=0, description="longest completion, in tokens")
    logprobs: bool = Field(False, description="keep the log probability of each generated token")
    reproducible: bool = Field(False, description="seed every sample by itself; costs throughput")
    seed: int = Field(0, description="seed that the samples' seeds are made from")

    @property
    def adaptive(self) -> AdaptiveOptions | None:
        """The options of the adaptive strategy; None for another one. Raises InputError."""
        return _adaptive(self.strategy, self.samples)

    @model_validator(mode="after")
    def _no_second_name(self) -> GenerateSection:
        own = {"model": "model", "seed": "seed", "max_num_seqs": "concurrency"}
        if self.reproducible:
            own["enable_chunked_prefill"] = "reproducible"
        for at, section in enumerate((self, *self.mix)):
            where = f"mix[{at - 1}]." if at else ""
            for name in section.engine_options:
                if name in own and section.engine == "vllm":
                    raise PydanticCustomError(
                        "own_field", f"{where}engine_options.{name} is set by generate.{own[name]}"
                    )
        return self

    @field_validator("thinking")
    @classmethod
    def _known_format(cls, value: str) -> str:
        return known_format(value)


def _adaptive(section: StrategySection, samples: int) -> AdaptiveOptions | None:
    if section.name == "fixed":
        if section.options:
            raise InputError(f"generate.strategy.fixed.{min(section.options)}: fixed has no options; see samples")
        return None
    options = configured(AdaptiveOptions, section.options, "generate.strategy.adaptive", "adaptive")
    most_samples(options, samples)
    return options


def known_format(value: str) -> str:
    """The name of a think format. Raises an error that pydantic places."""
    if value not in MARKUPS:
        raise PydanticCustomError("think_format", f"unknown think format {value!r}{nearest(value, MARKUPS)}")
    return value
