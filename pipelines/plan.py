"""What a recipe comes to: its prompts, read and checked, and the identity of its job. Generates nothing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.types import Filter, Prompt, Sieve, Verifier
from tracemill.factory import sources
from tracemill.factory.thinking import Example, ThinkFormat
from tracemill.pipelines.recipe import FileSource, JudgeSection, ReasoningGymSource, Recipe
from tracemill.pipelines.references import can_vote, needs_reference
from tracemill.verifiers.judge import Judge


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
    judge_section: JudgeSection | None
    """The model that judges, where a verifier of the plan asks one."""

    def with_judge(self, judge: Judge) -> Plan:
        """The plan with a judge that has its engine."""
        bound = {
            name: tuple(judge if isinstance(one, Judge) else one for one in verifiers)
            for name, verifiers in self.judges.items()
        }
        return replace(self, judges=bound)

    @property
    def samples(self) -> int:
        """Samples that the job asks for."""
        return len(self.tasks) * self.recipe.generate.samples


def job_id(recipe: Recipe, prompts: Iterable[Prompt]) -> str:
    """The same name, prompts, generation settings and verifiers are the same job, which a second run goes on with.

    Prompts count by content, not by file name: a corrected reference is another job, so that no trace that was judged
    against the old one is left in its data set. Filters and selection are left out: they can change, and the job's
    traces are sifted again without generating. So is `verify.majority`, whose verdicts are made from stored traces.
    The judge's settings count where a verifier asks it.
    """
    prompts = list(prompts)
    parts = {
        "name": recipe.name,
        "generate": recipe.generate.model_dump(mode="json", exclude={"concurrency", "gpus"}),
        "verify": recipe.verify.model_dump(mode="json", exclude=_aside(recipe)),
        "examples": [[one.model_dump() for one in source.examples] for source in recipe.prompts],
    }
    if Judge.name in (*recipe.verify.also, *(prompt.verifier for prompt in prompts)) and recipe.judge is not None:
        parts["judge"] = recipe.judge.model_dump(mode="json", exclude={"concurrency", "gpus"})
    return content_id("job", canonical_json(parts), *sorted(prompt.id for prompt in prompts))


def _aside(recipe: Recipe) -> set[str]:
    """Keys of `verify` that are no part of the job; without options a job is what it was before there were any."""
    return {"majority"} if recipe.verify.options else {"majority", "options"}


def make_plan(recipe: Recipe) -> Plan:
    """Read the prompts and find the plugins. Raises InputError naming the field for whatever is wrong."""
    _check_votes(recipe)
    also = {name: _verifier(recipe, name, f"verify.also[{at}]") for at, name in enumerate(recipe.verify.also)}
    sifters = _sifters(recipe)
    tasks: dict[str, Task] = {}
    total = 0
    for at, source in enumerate(recipe.prompts):
        examples = tuple(Example(e.prompt, e.reasoning, e.answer) for e in source.examples)
        thinking = ThinkFormat.named(recipe.generate.thinking, examples)
        for prompt in _read(recipe, source, f"prompts[{at}]"):
            total += 1
            tasks.setdefault(prompt.id, Task(prompt, thinking))
    if not tasks:
        raise InputError("prompts: the sources hold no prompt")
    judges = {
        name: (_verifier(recipe, name, "verifier"), *(other for key, other in also.items() if key != name))
        for name in sorted({task.prompt.verifier for task in tasks.values()})
    }
    _check_also(recipe, (task.prompt for task in tasks.values()), judges)
    _check_use(recipe, {one.name for chain in judges.values() for one in chain})
    return Plan(
        recipe=recipe,
        job_id=job_id(recipe, (task.prompt for task in tasks.values())),
        tasks=tuple(tasks.values()),
        merged=total - len(tasks),
        judges=judges,
        filters=tuple(sifter for sifter in sifters if isinstance(sifter, Filter)),
        sieves=tuple(sifter for sifter in sifters if isinstance(sifter, Sieve)),
        policy=policy(recipe),
        judge_section=recipe.judge if Judge.name in {one.name for chain in judges.values() for one in chain} else None,
    )


def _check_votes(recipe: Recipe) -> None:
    """Refuses a majority that can never be."""
    majority, samples = recipe.verify.majority, recipe.generate.samples
    if majority is not None and majority.min_votes > samples:
        raise InputError(
            f"verify.majority.min_votes: {majority.min_votes} votes can never come from {samples} samples a prompt "
            "(generate.samples); ask for fewer votes, or draw more samples"
        )


def _check_use(recipe: Recipe, used: Container[str]) -> None:
    """Refuses settings of a verifier that judges nothing: who wrote them believes that it does."""
    if recipe.judge is not None and Judge.name not in used:
        also = ", ".join((*recipe.verify.also, Judge.name))
        raise InputError(
            f"judge: no verifier asks this model; add verify: {{also: [{also}]}}, or give prompts the verifier judge"
        )
    for name in recipe.verify.options:
        if name == Judge.name:
            raise InputError("verify.options.judge: the judge's options stand in judge: {model: …}")
        plugins.get("verifiers", name, where="verify.options")
        if name not in used:
            raise InputError(f"verify.options.{name}: {name} judges no prompt; add it to verify.also, or leave it out")


def _check_also(recipe: Recipe, prompts: Iterable[Prompt], judges: Mapping[str, tuple[Verifier, ...]]) -> None:
    """Refuses a second verifier that could judge no sample of a prompt without gold, and so would lose them all."""
    known: dict[tuple[str, str], Verifier | None] = {}
    for prompt in prompts:
        if prompt.reference.strip():
            continue
        own, *others = judges[prompt.verifier]
        votes = recipe.verify.majority is not None and can_vote(own)
        key = (prompt.verifier, canonical_json(prompt.metadata))
        if key not in known:
            lost = (other for other in others if not (votes and _takes_label(other)) and needs_reference(prompt, other))
            known[key] = next(lost, None)
        if (other := known[key]) is not None:
            remedy = "a majority's answer cannot be one" if votes else "samples vote for math, numeric, choice or exact"
            raise InputError(
                f"verify.also[{recipe.verify.also.index(other.name)}]: {other.name} needs a reference, and the prompt "
                f"{prompt.text[:60]!r} has none ({remedy}); leave {other.name} out, or add the reference"
            )


def _takes_label(verifier: Verifier) -> bool:
    """Whether an answer that samples gave can be its reference. A pattern, a schema or a test is none."""
    return can_vote(verifier) or isinstance(verifier, Judge)


def _verifier(recipe: Recipe, name: str, where: str) -> Verifier:
    """The verifier of that name, with its options; the judge as the recipe's own section sets it."""
    if name != Judge.name:
        found: Verifier = plugins.get("verifiers", name, where=where)
        if options := recipe.verify.options.get(name):
            found = plugins.get("verifiers", name, options, where=f"verify.options.{name}")
        return found
    if recipe.judge is None:
        raise InputError(f"{where}: 'judge' asks a model that the recipe does not name; add judge: {{model: …}}")
    return judge_of(recipe.judge)


def judge_of(section: JudgeSection, seed: int | None = None) -> Judge:
    """The judge that a recipe's section describes, without its engine. Raises InputError for a prompt of no use."""
    return Judge(
        model=section.model_name,
        prompt=section.prompt,
        max_tokens=section.max_tokens,
        temperature=section.temperature,
        constrained=section.constrained,
        seed=seed,
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


def _read(recipe: Recipe, source: ReasoningGymSource | FileSource, where: str) -> Iterator[Prompt]:
    if isinstance(source, ReasoningGymSource):
        yield from sources.reasoning_gym_prompts(source.task, source.count, source.seed, source.options, where)
        return
    verifier = _verifier(recipe, source.verifier, f"{where}.verifier")
    votes = recipe.verify.majority is not None and can_vote(verifier)
    columns = sources.Columns(
        source.columns.text,
        source.columns.reference,
        source.verifier,
        source.domain,
        needs_reference=lambda prompt: not votes and needs_reference(prompt, verifier),
    )
    if source.source == "jsonl":
        prompts = sources.jsonl_prompts(source.path, columns, where)
    elif source.source == "parquet":
        prompts = sources.parquet_prompts(source.path, columns, where)
    else:
        prompts = sources.dataset_prompts(source.path, source.split, columns, where)
    yield from islice(prompts, source.limit)
