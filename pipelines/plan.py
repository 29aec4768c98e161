"""What a recipe comes to: its prompts, read and checked, and the identity of its job. Generates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Filter, Prompt, Sieve, Verifier
from tracemill.factory import sources
from tracemill.factory.thinking import Example, ThinkFormat
from tracemill.pipelines.recipe import FileSource, ReasoningGymSource, Recipe


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt of the job with the format that it is asked in."""

    prompt: Prompt
    thinking: ThinkFormat


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked recipe with everything that it names at hand."""

    recipe: Recipe
    job_id: str
    tasks: tuple[Task, ...]
    merged: int
    """Prompts that stood in the sources more than once."""
    judges: Mapping[str, tuple[Verifier, ...]]
    """Name of a prompt's own verifier → it and the others that judge with it."""
    filters: tuple[Filter, ...]
    sieves: tuple[Sieve, ...]
    policy: str
    """Id of the filters with their options and versions."""

    @property
    def samples(self) -> int:
        """Samples that the job asks for."""
        return len(self.tasks) * self.recipe.generate.samples


def job_id(recipe: Recipe, prompts: Iterable[Prompt]) -> str:
    """The same name, prompts, generation settings and verifiers are the same job, which a second run goes on with.

    Prompts count by content, not by file name: a corrected reference is another job, so that no trace that was judged
    against the old one is left in its data set. Filters and selection are left out: they can change, and the job's
    traces are sifted again without generating.
    """
    parts = {
        "name": recipe.name,
        "generate": recipe.generate.model_dump(mode="json", exclude={"concurrency", "gpus"}),
        "verify": recipe.verify.model_dump(mode="json"),
        "examples": [[one.model_dump() for one in source.examples] for source in recipe.prompts],
    }
    return content_id("job", canonical_json(parts), *sorted(prompt.id for prompt in prompts))


def make_plan(recipe: Recipe) -> Plan:
    """Read the prompts and find the plugins. Raises InputError naming the field for whatever is wrong."""
    also = {
        name: plugins.get("verifiers", name, where=f"verify.also[{at}]") for at, name in enumerate(recipe.verify.also)
    }
    sifters = _sifters(recipe)
    tasks: dict[str, Task] = {}
    total = 0
    for at, source in enumerate(recipe.prompts):
        examples = tuple(Example(e.prompt, e.reasoning, e.answer) for e in source.examples)
        thinking = ThinkFormat.named(recipe.generate.thinking, examples)
        for prompt in _read(source, f"prompts[{at}]"):
            total += 1
            tasks.setdefault(prompt.id, Task(prompt, thinking))
    if not tasks:
        raise InputError("prompts: the sources hold no prompt")
    return Plan(
        recipe=recipe,
        job_id=job_id(recipe, (task.prompt for task in tasks.values())),
        tasks=tuple(tasks.values()),
        merged=total - len(tasks),
        judges={
            name: (plugins.get("verifiers", name), *(other for key, other in also.items() if key != name))
            for name in sorted({task.prompt.verifier for task in tasks.values()})
        },
        filters=tuple(sifter for sifter in sifters if isinstance(sifter, Filter)),
        sieves=tuple(sifter for sifter in sifters if isinstance(sifter, Sieve)),
        policy=policy(recipe),
    )


def _sifters(recipe: Recipe) -> list[Filter | Sieve]:
    return [
        plugins.get("filters", section.name, section.options, where=f"filters[{at}]")
        for at, section in enumerate(recipe.filters)
    ]


def policy(recipe: Recipe) -> str:
    """Id of a recipe's filters with their options and versions: what drops are filed under."""
    sections = [canonical_json(section.model_dump(mode="json")) for section in recipe.filters]
    return content_id("policy", *sections, *(sifter.version for sifter in _sifters(recipe)))


def _read(source: ReasoningGymSource | FileSource, where: str) -> Iterator[Prompt]:
    if isinstance(source, ReasoningGymSource):
        yield from sources.reasoning_gym_prompts(source.task, source.count, source.seed, source.options, where)
        return
    plugins.get("verifiers", source.verifier, where=f"{where}.verifier")
    columns = sources.Columns(source.columns.text, source.columns.reference, source.verifier, source.domain)
    if source.source == "jsonl":
        prompts = sources.jsonl_prompts(source.path, columns, where)
    elif source.source == "parquet":
        prompts = sources.parquet_prompts(source.path, columns, where)
    else:
        prompts = sources.dataset_prompts(source.path, source.split, columns, where)
    yield from islice(prompts, source.limit)
