"""What a recipe from outside may ask of this machine: files in one folder, listed servers, harmless options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tracemill.core.errors import InputError, nearest
from tracemill.core.settings import Settings
from tracemill.factory.models import resolve
from tracemill.pipelines.generate_section import EngineSection
from tracemill.pipelines.identity import FOLDERLESS
from tracemill.pipelines.recipe import FileSource, FilterSection, Recipe, Source
from tracemill.pipelines.recording_section import RecordingSource

ENGINE_OPTIONS = {
    "vllm": (
        "max_model_len", "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "dtype",
        "quantization", "kv_cache_dtype", "max_num_batched_tokens", "enforce_eager", "block_size",
    ),
    "transformers": ("dtype",),
    "openai": (
        "base_url", "api_key_env", "dialect", "opens_thinking", "limit_field", "requests_per_minute",
        "tokens_per_minute", "tries", "timeout_s", "extra_body",
    ),
    "replay": ("seconds",),
    "fake": ("seconds",),
}  # fmt: skip
"""Others run code, read files of the recipe's choice, or kill the process."""

OWN_OPTIONS = (("code", "tier"),)
"""Options of verifiers that a recipe from outside may not set: how strong the sandbox is."""

FILES_OF_FILTERS = frozenset(("against", "word_lists"))
"""Options of filters that name files."""

Engine = TypeVar("Engine", bound=EngineSection)


def admitted(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe as it may run here. Raises InputError naming the field that may not be, and SetupError."""
    generate = _engine(recipe.generate, "generate", settings)
    mix = tuple(_engine(one, f"generate.mix[{at}]", settings) for at, one in enumerate(generate.mix))
    for name, options in recipe.verify.options.items():
        for option in options:
            if (name, option) in OWN_OPTIONS:
                raise InputError(f"verify.options.{name}.{option}: not over REST; it is this machine's to choose")
    return recipe.model_copy(
        update={
            "prompts": _sources(recipe.prompts, "prompts", settings.prompts),
            "hold_out": _sources(recipe.hold_out, "hold_out", settings.prompts),
            "generate": generate.model_copy(update={"mix": mix}),
            "filters": tuple(_filter(one, at, settings.prompts) for at, one in enumerate(recipe.filters)),
            "judge": None if recipe.judge is None else _engine(recipe.judge, "judge", settings),
        }
    )


def _sources(sources: Sequence[Source], where: str, folder: Path) -> tuple[Source, ...]:
    """With their files inside `folder`."""
    return tuple(
        source.model_copy(update={"path": _inside(folder, source.path, f"{where}[{at}].path")})
        if isinstance(source, FileSource | RecordingSource)
        else source
        for at, source in enumerate(sources)
    )


def _filter(section: FilterSection, at: int, folder: Path) -> FilterSection:
    """With the files that it reads inside `folder`."""
    options = dict(section.options)
    for option in FILES_OF_FILTERS & options.keys():
        where, named = f"filters[{at}].{option}", options[option]
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise InputError(f"{where}: a list of files is wanted")
        options[option] = [str(_inside(folder, Path(one), where)) for one in named]
    return section.model_copy(update={"options": options})


def _inside(folder: Path, asked: Path, where: str) -> Path:
    path = (folder.resolve() / asked).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{where}: {asked} is not in {folder} (TRACEMILL_PROMPTS)")
    return path


def _engine(section: Engine, where: str, settings: Settings) -> Engine:
    known = ENGINE_OPTIONS[section.engine]
    for name in section.engine_options:
        if name not in known:
            raise InputError(f"{where}.engine_options.{name}: not over REST{nearest(name, known)}")
    if section.engine not in FOLDERLESS:  # before anything in that folder is read to tell the job's weights
        resolve(section.model, settings.cache, f"{where}.model")
    if section.engine != "openai":
        return section
    server = str(section.engine_options.get("base_url", ""))
    if server not in settings.servers:
        listed = ", ".join(settings.servers) or "none is"
        raise InputError(f"{where}.engine_options.base_url: {server!r} is not listed (TRACEMILL_SERVERS: {listed})")
    key = settings.servers[server] or None
    if section.engine_options.get("api_key_env", key) != key:
        raise InputError(f"{where}.engine_options.api_key_env: leave it out; this machine knows the key of {server}")
    return section.model_copy(update={"engine_options": {**section.engine_options, "api_key_env": key}})
