"""Trains a model on data of the corpus: makes the rows, runs the loop, stores what it logs, puts the model in place.

The same name, method, options, data and model are the same training: it is not done again, and one that was stopped
goes on from its last checkpoint. A finished model's folder never changes. Knows nothing of how steps are made
(`trainers.loop`) or of stages (`pipelines.stages`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tracemill.core import plugins
from tracemill.core.errors import CorpusError, EngineError, InputError, Locked, Stopped
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.settings import Settings
from tracemill.core.types import Prompt
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.factory.models import resolve
from tracemill.factory.weights import fingerprint, model_at
from tracemill.pipelines import model_card, training_data, training_rows
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.recipe import Recipe, VerifySection
from tracemill.pipelines.train_section import TrainSection
from tracemill.pipelines.training_data import Part
from tracemill.pipelines.training_log import TrainingLog
from tracemill.pipelines.training_rows import Counted
from tracemill.trainers.callbacks import Report
from tracemill.trainers.checks import check_installed, check_rollouts
from tracemill.trainers.cluster import Workers, train_on_ray
from tracemill.trainers.loop import Work, train
from tracemill.trainers.options import Grpo, Options, Training
from tracemill.trainers.presets import options_of, parameters
from tracemill.trainers.text import Text

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""What a folder that cannot be written gives; other errors of the operating system are of servers and the like."""
_ASIDE = ("save_every", "log_every", "vllm_server", "vllm_memory", "preference")
"""Options that do not bear on the weights, and the path of a reward model, whose own weights count."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked training."""

    name: str
    section: TrainSection
    training: Training
    parts: tuple[Part, ...]
    prompts: tuple[Prompt, ...]
    """Questions for GRPO that come from the recipe's own sources."""
    folder: Path
    """Where the model will be."""

    @property
    def run_id(self) -> str:
        return self.training.run_id

    @property
    def questions(self) -> str:
        """The file beside the model that has `prompts`."""
        return f"questions-{self.run_id[:8]}.jsonl"

    @property
    def data(self) -> list[dict[str, Any]]:
        """What it is trained on, as it is written down."""
        own = [{"questions": self.questions, "rows": len(self.prompts)}] if self.prompts else []
        return [*(part.plain() for part in self.parts), *own]

    @property
    def models(self) -> tuple[str, ...]:
        """Those that it is made with: the one that it starts from, and a reward model."""
        preference = getattr(self.training.options, "preference", None)
        return (self.training.model,) if preference is None else (self.training.model, preference)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    run_id: str
    folder: Path
    is_new: bool
    """This call finished it; else there are no figures here."""
    rows: Counted | None = None
    steps: int = 0
    tokens: int = 0
    """That the model was trained on, all epochs."""
    seconds: float = 0.0


@dataclass
class Watch:
    """What the caller is told while a training runs."""

    on_stage: Callable[[str], None] = lambda stage: None
    """`reading`, `training`."""
    on_rows: Callable[[Counted], None] = lambda rows: None
    on_resumed: Callable[[int], None] = lambda step: None
    """It goes on from the checkpoint of that step."""
    on_figures: Report = lambda step, last, figures: None
    is_stopped: Callable[[], bool] = lambda: False
    """Asked after each step: whether to stop there, with a checkpoint."""


def plan_training(name: str, section: TrainSection, settings: Settings, corpus: Corpus) -> Plan:
    """Check a training and find its data. Raises InputError naming the field, and SetupError for what is missing."""
    check_installed()
    model = _model(section, settings)
    options = _options(section, settings, model)
    check_installed(options)
    text = Text.of(model, section.thinking)  # refused now rather than when it is read
    if isinstance(options, Grpo):
        check_rollouts(options, text.window, text.hidden_tags)
    parts = training_data.parts(corpus, section.data, section.seed, section.method.name)
    prompts = _prompts(section)
    for verifier, given in section.verify.items():
        plugins.get("verifiers", verifier, given, where=f"train.verify.{verifier}")
    told = {
        "name": name, "method": section.method.name, "options": _plain(options), "thinking": section.thinking,
        "seed": section.seed, "model": fingerprint(model) or model, "data": [part.digest for part in parts],
        "prompts": [[prompt.id, prompt.metadata] for prompt in prompts], "verify": section.verify,
        "workers": _workers(section), "preference": fingerprint(getattr(options, "preference", None) or ""),
    }  # fmt: skip
    run_id = content_id("training", canonical_json(told))
    training = Training(run_id, section.method.name, model, section.thinking, options, section.seed, section.verify)
    plan = Plan(name, section, training, parts, prompts, settings.models / f"{name}-{run_id[:8]}")
    model_card.joined(plan.models, ())  # a broken card is refused now
    return plan


def _model(section: TrainSection, settings: Settings) -> str:
    """What it starts from, as transformers takes it."""
    model = resolve(section.model, settings.cache, "train.model")
    folder = model_at(model)
    if folder is not None and not any(path.suffix in (".safetensors", ".bin") for path in folder.iterdir()):
        raise InputError(f"train.model: {folder} has no weights (*.safetensors or *.bin)")
    return model


def _options(section: TrainSection, settings: Settings, model: str) -> Options:
    """The options of the method, with the reward model's folder as all workers find it."""
    where = f"train.method.{section.method.name}"
    options = options_of(section.method.name, section.method.options, parameters(model), where)
    try:
        options.shared(_workers(section))
    except InputError as error:
        raise InputError(f"{where}.{error}") from error
    if not isinstance(options, Grpo) or options.preference is None:
        return options
    found = resolve(options.preference, settings.cache, f"{where}.preference")
    if model_at(found) is None:
        raise InputError(f"{where}.preference: {options.preference} is no folder of a reward model")
    return replace(options, preference=found)


def _workers(section: TrainSection) -> int:
    return 1 if section.cluster is None else section.cluster.workers


def _plain(options: Options) -> dict[str, Any]:
    """All that bears on the weights."""
    return {name: value for name, value in asdict(options).items() if name not in _ASIDE}


def _prompts(section: TrainSection) -> tuple[Prompt, ...]:
    """The questions of the section's sources, checked as those of a job are."""
    if not section.prompts:
        return ()
    recipe = Recipe(
        name="prompts", prompts=section.prompts, hold_out=section.hold_out, verify=VerifySection(options=section.verify)
    )
    return tuple(make_plan(recipe).tasks.prompts())


def run(plan: Plan, settings: Settings, corpus: Corpus, watch: Watch) -> Trained:
    """Train to the end. Blocks.

    Raises Locked where another process does this training, and Stopped where `watch` said so before its end.
    """
    work = Work(plan.folder.with_name(f".{plan.folder.name}"), _workers(plan.section))
    if plan.folder.is_dir():
        shutil.rmtree(work.folder, ignore_errors=True)  # left by a kill just after the model was put in its place
        return Trained(plan.run_id, plan.folder, is_new=False)
    with _held(work.folder):
        if plan.folder.is_dir():  # another process has just finished it
            return Trained(plan.run_id, plan.folder, is_new=False)
        watch.on_stage("reading")
        with _writing(work.folder):
            rows = training_rows.read(plan.training, plan.parts, plan.prompts, corpus, work)
        watch.on_rows(rows)
        with _writing(work.folder), TrainingLog.open(corpus, plan.run_id, work.folder, watch.on_figures) as log:
            log.count(asdict(rows))
            log.restore(work.logged())
            if not work.model.is_dir():
                watch.on_stage("training")
                if step := work.step():
                    watch.on_resumed(step)
                _train(plan, settings, work, log.add, watch.is_stopped)
        if not work.model.is_dir():
            raise Stopped(f"stopped after step {work.step():,}, with a checkpoint")
        done = Trained(plan.run_id, plan.folder, True, rows, log.steps, log.tokens, round(log.seconds, 1))
        with _writing(work.folder):
            _finish(plan, corpus, work, done)
    return done


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder, for this process alone; the operating system lets go of it whatever ends the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise _unwritable(folder, error.strerror) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Locked(f"{folder}: another process does this training; stop it first") from error
        yield


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Says which folder is full, or what else went wrong beside this process. Raises CorpusError and EngineError."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            raise _unwritable(folder, error.strerror) from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EngineError(f"training failed: {reason}; run again, it goes on from its last checkpoint") from error
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error):
            raise
        raise _unwritable(folder, "no room") from error


def _unwritable(folder: Path, reason: str | None) -> CorpusError:
    return CorpusError(f"{folder}: cannot be written ({reason}); set TRACEMILL_MODELS")


def _train(plan: Plan, settings: Settings, work: Work, report: Report, is_stopped: Callable[[], bool]) -> None:
    cluster = plan.section.cluster
    if cluster is not None:
        workers = Workers(cluster.workers, cluster.cpus, cluster.gpus, cluster.retries)
        train_on_ray(plan.training, work, report, is_stopped, workers, settings.ray_address)
    else:
        train(plan.training, work, report, is_stopped)


def _finish(plan: Plan, corpus: Corpus, work: Work, done: Trained) -> None:
    """The model with its card in its place, and the run in the corpus; again, it is a no-op."""
    training, options = plan.training, _plain(plan.training.options)
    if len(plan.models) > 1:
        options["preference"] = plan.models[1]
    shared = {"name": plan.name, "method": training.method, "base": plan.section.model}
    row = shared | {
        "run_id": plan.run_id, "data": json.dumps(plan.data), "options": canonical_json(options),
        "folder": str(plan.folder), "steps": done.steps, "tokens": done.tokens, "seconds": done.seconds,
        "created_at": tables.now(),
    }  # fmt: skip
    told = {"run": plan.run_id, **shared, "data": plan.data, "options": options}
    if done.rows is not None:
        told["rows"] = asdict(done.rows)
    model_card.write_questions(work.model, plan.questions, plan.prompts, plan.models)
    corpus.append("runs", tables.arrow("runs", [row]), f"run/{plan.run_id}", 1)
    model_card.write(work.model, told | {"trained_on": model_card.joined(plan.models, plan.data)})
    work.model.rename(plan.folder)
    shutil.rmtree(work.folder, ignore_errors=True)
