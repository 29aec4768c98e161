"""Trains a model on data of the corpus: makes the rows, runs the loop, stores what it logs, puts the model in place.

The same name, method, options, data and model are the same training: it is not done again, and one that was stopped
goes on from its last checkpoint. A finished model's folder never changes. Knows nothing of how steps are made
(`trainers.loop`) or of stages (`pipelines.stages`).
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tracemill.core import plugins
from tracemill.core.errors import CorpusError, InputError, Locked, Stopped
from tracemill.core.ids import canonical_json, content_id
from tracemill.core.settings import Settings
from tracemill.core.types import Prompt
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.factory.models import resolve
from tracemill.factory.weights import fingerprint
from tracemill.pipelines import training_data
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.recipe import Recipe, VerifySection
from tracemill.pipelines.train_section import TrainSection
from tracemill.pipelines.training_data import Part
from tracemill.pipelines.training_log import TrainingLog
from tracemill.trainers.callbacks import Report
from tracemill.trainers.cluster import Workers, train_on_ray
from tracemill.trainers.loop import Work, check_installed, train
from tracemill.trainers.options import Method, Options, Training
from tracemill.trainers.presets import options_of, parameters
from tracemill.trainers.rows import SCHEMAS, Row, Rows, save
from tracemill.trainers.text import Text

CARD = "tracemill.json"
"""In the folder of a trained model: what it was made from."""


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
    def data(self) -> list[dict[str, Any]]:
        """What it is trained on, as it is written down."""
        own = [{"questions": f"questions-{self.run_id[:8]}.jsonl", "rows": len(self.prompts)}] if self.prompts else []
        return [*(part.plain() for part in self.parts), *own]


@dataclass(frozen=True, slots=True)
class Counted:
    """The rows of a training."""

    made: int
    too_long: int
    """Left out because they exceed `max_length`."""
    longest: int
    """Tokens of the longest of these."""
    tokens: int
    """Of all rows that were made."""


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
    on_figures: Report = lambda step, last, figures: None
    is_stopped: Callable[[], bool] = lambda: False
    """Asked after each step: whether to stop there, with a checkpoint."""


def plan_training(name: str, section: TrainSection, settings: Settings, corpus: Corpus) -> Plan:
    """Check a training and find its data. Raises InputError naming the field, and SetupError for what is missing."""
    check_installed()
    model = resolve(section.model, settings.cache, "train.model")
    where = f"train.method.{section.method.name}"
    options = options_of(section.method.name, section.method.options, parameters(model), where)
    Text.of(model, section.thinking)  # refused now rather than when it is read
    parts = training_data.parts(corpus, section.data, section.seed)
    prompts = _prompts(section)
    workers = 1 if section.cluster is None else section.cluster.workers
    try:
        options.shared(workers)
    except InputError as error:
        raise InputError(f"{where}.{error}") from error
    for verifier, given in section.verify.items():
        plugins.get("verifiers", verifier, given, where=f"train.verify.{verifier}")
    told = {
        "name": name, "method": section.method.name, "options": _plain(options), "thinking": section.thinking,
        "seed": section.seed, "model": fingerprint(model) or model, "data": [part.digest for part in parts],
        "prompts": sorted(prompt.id for prompt in prompts), "verify": section.verify,
        "workers": workers, "preference": fingerprint(getattr(options, "preference", None) or ""),
    }  # fmt: skip
    run_id = content_id("training", canonical_json(told))
    training = Training(run_id, section.method.name, model, section.thinking, options, section.seed, section.verify)
    return Plan(name, section, training, parts, prompts, settings.models / f"{name}-{run_id[:8]}")


def _plain(options: Options) -> dict[str, Any]:
    """All that bears on the weights."""
    return {name: value for name, value in asdict(options).items() if name not in ("save_every", "log_every")}


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
    if plan.folder.is_dir():
        return Trained(plan.run_id, plan.folder, is_new=False)
    work = Work(plan.folder.with_name(f".{plan.folder.name}"))
    with _held(work.folder):
        if plan.folder.is_dir():  # another process has just finished it
            return Trained(plan.run_id, plan.folder, is_new=False)
        watch.on_stage("reading")
        with _writing(work.folder):
            rows = _read(plan, corpus, work)
        watch.on_rows(rows)
        with _writing(work.folder), TrainingLog.open(corpus, plan.run_id, work.folder, watch.on_figures) as log:
            if not work.model.is_dir():
                log.restore(work.logged())
                watch.on_stage("training")
                _train(plan, settings, work, log.add, watch.is_stopped)
        if not work.model.is_dir():
            raise Stopped(f"stopped after step {log.steps:,}, with a checkpoint")
        done = Trained(plan.run_id, plan.folder, True, rows, log.steps, log.tokens, round(log.seconds, 1))
        _finish(plan, corpus, work, done)
    return done


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder, for this process alone; the operating system lets go of it whatever ends the process."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Locked(f"{folder}: another process does this training; stop it first") from error
        yield


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Says which folder is full. Raises CorpusError."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # transformers' own: the model's folder has no weights
            raise InputError(f"train.model: {str(error).splitlines()[0]}") from error
        raise CorpusError(f"{folder}: cannot be written ({error.strerror}); set TRACEMILL_MODELS") from error
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error):
            raise
        raise CorpusError(f"{folder}: cannot be written (no room); set TRACEMILL_MODELS") from error


def _read(plan: Plan, corpus: Corpus, work: Work) -> Counted:
    """The rows of the training, on disk; made once."""
    counted = work.folder / "rows.json"
    if not counted.is_file():
        text = Text.of(plan.training.model, plan.training.thinking)
        rows = Rows(text, plan.training.options.max_length)
        save(_made(plan, corpus, rows), SCHEMAS[plan.training.method], work.data)
        found = Counted(rows.made, rows.too_long, rows.longest, rows.tokens)
        if not rows.made:
            raise InputError(_nothing(plan, found))
        beside = counted.with_suffix(".new")
        beside.write_text(json.dumps(asdict(found)))
        beside.replace(counted)
    return Counted(**json.loads(counted.read_text()))


def _made(plan: Plan, corpus: Corpus, rows: Rows) -> Iterator[Row]:
    method: Method = plan.training.method
    if method == "sft":
        return rows.sft(chain.from_iterable(training_data.items(corpus, part) for part in plan.parts))
    if method == "grpo":
        asked = chain.from_iterable(training_data.questions(corpus, part) for part in plan.parts)
        return rows.grpo(chain(plan.prompts, asked))
    paired = chain.from_iterable(training_data.pairs(corpus, part) for part in plan.parts)
    return rows.dpo(paired) if method == "dpo" else rows.reward(paired)


def _nothing(plan: Plan, found: Counted) -> str:
    if found.too_long:
        return (
            f"train.method.{plan.training.method}.max_length: each of {found.too_long:,} rows is longer than "
            f"{plan.training.options.max_length:,} tokens (up to {found.longest:,})"
        )
    return "train.data: no kept trace has a wrong one of the same prompt to be paired with"


def _train(plan: Plan, settings: Settings, work: Work, report: Report, is_stopped: Callable[[], bool]) -> None:
    cluster = plan.section.cluster
    if cluster is not None:
        workers = Workers(cluster.workers, cluster.cpus, cluster.gpus, cluster.retries)
        train_on_ray(plan.training, work, report, is_stopped, workers, settings.ray_address)
    else:
        train(plan.training, work, report, is_stopped)


def _finish(plan: Plan, corpus: Corpus, work: Work, done: Trained) -> None:
    """The model with its card in its place, and the run in the corpus; again, it is a no-op."""
    training = plan.training
    told = {
        "run": plan.run_id, "name": plan.name, "method": training.method, "base": plan.section.model,
        "data": plan.data, "options": _plain(training.options), "trained_on": _trained_on(training.model, plan.data),
    }  # fmt: skip
    row = {
        "run_id": plan.run_id, "name": plan.name, "method": training.method, "base": plan.section.model,
        "data": json.dumps(plan.data), "options": canonical_json(_plain(training.options)), "folder": str(plan.folder),
        "steps": done.steps, "tokens": done.tokens, "seconds": done.seconds, "created_at": tables.now(),
    }  # fmt: skip
    _write_questions(plan, work.model)
    corpus.append("runs", tables.arrow("runs", [row]), f"run/{plan.run_id}", 1)
    (work.model / CARD).write_text(json.dumps(told, indent=1))
    work.model.rename(plan.folder)
    shutil.rmtree(work.folder, ignore_errors=True)


def _write_questions(plan: Plan, folder: Path) -> None:
    """What was asked in this run and those before it, beside the model: it stands in no data set."""
    for file in Path(plan.training.model).glob("questions-*.jsonl"):
        shutil.copy(file, folder)
    for one in plan.data:
        if "questions" in one:
            lines = (json.dumps({"id": prompt.id, "text": prompt.text}) + "\n" for prompt in plan.prompts)
            (folder / one["questions"]).write_text("".join(lines), encoding="utf-8")


def _trained_on(model: str, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data of this run and of those before it."""
    card = Path(model) / CARD
    before = json.loads(card.read_text())["trained_on"] if card.is_file() else []
    return [*before, *(one for one in data if one not in before)]
