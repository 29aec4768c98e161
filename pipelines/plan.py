"""What a recipe comes to: its prompts, read and checked, and the identity of its job. Generates nothing."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from tracemill.core import plugins
from tracemill.core.errors import InputError, nearest
from tracemill.core.ids import canonical_json
from tracemill.core.types import Prompt, Verifier
from tracemill.factory import sources
from tracemill.factory.recording import Source as Recorded
from tracemill.factory.recording import Survey
from tracemill.factory.thinking import Example, ThinkFormat
from tracemill.filters.duplicate_prompts import DuplicatePrompts
from tracemill.filters.semantic_duplicates import SAME_QUESTION
from tracemill.pipelines.identity import job_id
from tracemill.pipelines.policy import Policy, policy_of
from tracemill.pipelines.recipe import FileSource, JudgeSection, ReasoningGymSource, Recipe, Source
from tracemill.pipelines.recorded import Judgeable
from tracemill.pipelines.recording_section import RecordingSource
from tracemill.pipelines.references import can_vote, needs_reference
from tracemill.pipelines.tasks import Tasks
from tracemill.verifiers.judge import Judge


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked recipe with everything that it names at hand."""

    recipe: Recipe
    job_id: str
    tasks: Tasks
    merged: int
    """Prompts that stood in the sources more than once, or nearly so where the recipe drops these."""
    held_out: int
    """Prompts that were left out because the recipe holds them out."""
    judges: Mapping[str, tuple[Verifier, ...]]
    """Name of a prompt's own verifier → it and the others that judge with it."""
    policy: Policy
    judge_section: JudgeSection | None
    """The model that judges, where a verifier of the plan asks one."""
    recorded: Survey
    """How many completions the recipe's recordings hold of each prompt; empty where it has none."""

    def with_judge(self, judge: Judge) -> Plan:
        """The plan with a judge that has its engine."""
        bound = {
            name: tuple(judge if isinstance(one, Judge) else one for one in verifiers)
            for name, verifiers in self.judges.items()
        }
        return replace(self, judges=bound)

    @property
    def samples(self) -> int:
        """Samples that the job asks for; an adaptive strategy may ask for fewer or, of some prompts, for more."""
        return sum(self.limits(self.recipe.generate.samples))

    def limits(self, most: int) -> array[int]:
        """Most samples of each prompt: `most`, or what is recorded of it where nothing else makes samples."""
        generate = self.recipe.generate
        if any(engine.engine != "replay" for engine in (generate, *generate.mix)):
            return array("L", [most]) * len(self.tasks)
        return array("L", (min(most, self.recorded.count(prompt_id)) for prompt_id in self.tasks.ids()))

    @property
    def recordings(self) -> Iterator[Recorded]:
        """What `engine: replay` gives back."""
        for at, source in enumerate(self.recipe.prompts):
            if isinstance(source, RecordingSource):
                yield source.recording(f"prompts[{at}]")


def check_recipe(recipe: Recipe) -> None:
    """Refuse what `make_plan` refuses whatever the prompts are, without reading them. Raises InputError."""
    _check_votes(recipe)
    policy_of(recipe.filters)
    for at, name in enumerate(recipe.verify.also):
        _verifier(recipe, name, f"verify.also[{at}]")
    for at, source in enumerate(recipe.hold_out):
        _check_source(recipe, source, f"hold_out[{at}]")
    own = [_check_source(recipe, source, f"prompts[{at}]") for at, source in enumerate(recipe.prompts)]
    if "" not in own:
        _check_use(recipe, {*recipe.verify.also, *own})


def _check_source(recipe: Recipe, source: Source, where: str) -> str:
    """The verifier of its prompts; "" where the rows of a recording may name it."""
    if isinstance(source, ReasoningGymSource):
        next(sources.reasoning_gym_prompts(source.task, 1, source.seed, source.options, where))
        return "reasoning_gym"
    if source.verifier is not None:
        _verifier(recipe, source.verifier, f"{where}.verifier")
    return source.verifier or ""


def make_plan(recipe: Recipe) -> Plan:
    """Read the prompts and find the plugins. Raises InputError naming the field for whatever is wrong."""
    _check_votes(recipe)
    adaptive = recipe.generate.adaptive
    also = {name: _verifier(recipe, name, f"verify.also[{at}]") for at, name in enumerate(recipe.verify.also)}
    policy = policy_of(recipe.filters)
    tasks = Tasks(() if adaptive is None else adaptive.group_by)
    survey = Survey()
    held_out = _held_out(recipe)
    merged = left_out = 0
    for at, source in enumerate(recipe.prompts):
        examples = tuple(Example(e.prompt, e.reasoning, e.answer) for e in source.examples)
        thinking = ThinkFormat.named(recipe.generate.thinking, examples)
        for prompt in _read(recipe, source, survey, f"prompts[{at}]"):
            if folded(prompt.text) in held_out:
                left_out += 1
            else:
                merged += not tasks.add(prompt, thinking)
    tasks.seal()
    if not tasks and left_out:
        raise InputError(f"hold_out: it holds out all {left_out:,} prompts of the recipe")
    if not tasks:
        raise InputError("prompts: the sources hold no prompt")
    if recipe.dedup_prompts != "exact":
        sieve = DuplicatePrompts(semantic=SAME_QUESTION if recipe.dedup_prompts == "semantic" else None)
        repeated = sieve.repeated(tasks.prompts())
        tasks, merged = tasks.without(repeated), merged + len(repeated)
    for column in () if adaptive is None else adaptive.group_by:
        if column not in tasks.columns:
            hint = nearest(column, tasks.columns) if tasks.columns else ""
            raise InputError(f"generate.strategy.adaptive.group_by: no prompt has a column {column!r}{hint}")
    judges = {
        name: (_verifier(recipe, name, "verifier"), *(other for key, other in also.items() if key != name))
        for name in sorted(tasks.verifiers)
    }
    if recipe.verify.also:
        _check_also(recipe, tasks.prompts(), judges)
    _check_use(recipe, {one.name for chain in judges.values() for one in chain})
    return Plan(
        recipe=recipe,
        job_id=job_id(recipe, tasks, survey.digest),
        tasks=tasks,
        merged=merged,
        held_out=left_out,
        judges=judges,
        policy=policy,
        judge_section=recipe.judge if Judge.name in {one.name for chain in judges.values() for one in chain} else None,
        recorded=survey,
    )


def folded(text: str) -> str:
    """A question without what white space and case make of it."""
    return " ".join(text.split()).casefold()


def _held_out(recipe: Recipe) -> set[str]:
    """The questions that are not to be asked. Their references and verifiers do not matter."""
    survey = Survey()
    sources = ((source, f"hold_out[{at}]") for at, source in enumerate(recipe.hold_out))
    return {folded(prompt.text) for source, where in sources for prompt in _read(recipe, source, survey, where)}


def _check_votes(recipe: Recipe) -> None:
    """Refuses a majority that can never be."""
    majority, samples, adaptive = recipe.verify.majority, recipe.generate.samples, recipe.generate.adaptive
    if majority is not None and (recipe.generate.retry or adaptive is not None):
        field = "retry" if recipe.generate.retry else "strategy"
        raise InputError(
            f"generate.{field}: which samples are correct is not known before all are made where samples vote "
            "(verify.majority); use strategy: fixed, without retry"
        )
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


def _read(recipe: Recipe, source: Source, survey: Survey, where: str) -> Iterator[Prompt]:
    if isinstance(source, ReasoningGymSource):
        yield from sources.reasoning_gym_prompts(source.task, source.count, source.seed, source.options, where)
    elif isinstance(source, RecordingSource):
        yield from _read_recording(recipe, source, survey, where)
    else:
        yield from _read_file(recipe, source, where)


def _read_recording(recipe: Recipe, source: RecordingSource, survey: Survey, where: str) -> Iterator[Prompt]:
    """Prompts without gold answer are let in: a set may be mixed, and their traces are undecided, which is counted."""
    verifiers: dict[str, Verifier] = {}
    judgeable = Judgeable(where)
    for prompt in survey.prompts(source.recording(where)):
        if prompt.verifier not in verifiers:
            verifiers[prompt.verifier] = _verifier(recipe, prompt.verifier, f"{where}.verifier")
        own = verifiers[prompt.verifier]
        if recipe.verify.majority is None or not can_vote(own):
            judgeable.look(prompt, own)
        yield prompt
    judgeable.check()


def _read_file(recipe: Recipe, source: FileSource, where: str) -> Iterator[Prompt]:
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
