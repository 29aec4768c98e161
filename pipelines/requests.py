"""What an engine is asked for one sample of a plan."""

from __future__ import annotations

import re

from tracemill.core.ids import sample_seed, trace_id
from tracemill.core.types import Prompt, Request, Sampling
from tracemill.factory.strategies.strategy import Draw
from tracemill.factory.thinking import ThinkFormat
from tracemill.pipelines.plan import Plan

_PLACES = re.compile(r"\{text\}|\{reference\}")


def request_of(plan: Plan, draw: Draw, prompt: Prompt, thinking: ThinkFormat) -> Request:
    """The prompt in its think format, with the settings of the recipe and those that a retry changes."""
    settings, text = plan.recipe.generate, prompt.text
    temperature, top_p = settings.temperature, settings.top_p
    if draw.variant:
        variant = settings.retry[draw.variant - 1]
        temperature = temperature if variant.temperature is None else variant.temperature
        top_p = top_p if variant.top_p is None else variant.top_p
        if variant.prompt is not None:
            text = _PLACES.sub(lambda place: prompt.text if place[0] == "{text}" else prompt.reference, variant.prompt)
    return Request(
        id=trace_id(plan.job_id, prompt.id, draw.sample),
        prompt=thinking.render(text),
        sampling=Sampling(
            temperature=temperature,
            top_p=top_p,
            top_k=settings.top_k,
            max_tokens=settings.max_tokens,
            seed=sample_seed(settings.seed, prompt.id, draw.sample) if settings.reproducible else None,
        ),
        prefill=thinking.prefill,
        stop=thinking.stop,
        logprobs=settings.logprobs,
        prompt_id=prompt.id,
        sample=draw.sample,
    )
