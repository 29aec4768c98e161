"""Sums of a corpus and a model of 12,000 weights to train on them. As a script: a training that is killed at a step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.runner import Watch as JobWatch
from tracemill.pipelines.runner import run_job
from tracemill.pipelines.train_section import TrainSection
from tracemill.pipelines.training import Plan, Trained, Watch, plan_training, run
from tracemill.trainers.scratch import Shape, make


def settings_in(folder: Path) -> Settings:
    return Settings(corpus=folder / "corpus", models=folder / "models", jobs_url=f"sqlite:///{folder}/jobs.db")


def prepare(folder: Path) -> Settings:
    """A data set `sums` of right answers by the fake engine, and the model `tiny`."""
    here = settings_in(folder)
    source = {
        "source": "reasoning_gym", "task": "chain_sum", "count": 100, "seed": 1,
        "options": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    }  # fmt: skip
    generate = {"engine": "fake", "samples": 4, "thinking": "native"}
    job = make_plan(recipes.parse({"name": "sums", "prompts": [source], "generate": generate, "filters": []}))
    asyncio.run(run_job(job, here, JobWatch()))
    make(folder / "tiny", Shape(layers=1, width=32, heads=2, context=256))
    return here


def planned(here: Settings, method: dict[str, Any], name: str = "toy", **more: Any) -> Plan:
    model = str(Path(here.corpus).parent / "tiny")
    given = {"method": method, "model": model, "thinking": "native"} | more
    if "prompts" not in given:
        given.setdefault("data", ["sums"])
    return plan_training(name, TrainSection.model_validate(given), here, Corpus.open(here.corpus))


def trained(here: Settings, plan: Plan, watch: Watch | None = None) -> Trained:
    return run(plan, here, Corpus.open(here.corpus), watch or Watch())


def losses(here: Settings, plan: Plan, figure: str = "loss") -> list[tuple[int, float]]:
    """Step and value, as they count."""
    rows = Corpus.open(here.corpus).rows(
        "SELECT step, value FROM latest_training WHERE run_id = $run AND figure = $figure ORDER BY step",
        {"run": plan.run_id, "figure": figure},
    )
    return [(row["step"], row["value"]) for row in rows]


KILLED: dict[str, dict[str, Any]] = {
    "sft": {"sft": {"steps": 9, "learning_rate": 3e-3, "batch": 16, "per_device": 8, "log_every": 2, "save_every": 5}},
    "grpo": {
        "grpo": {
            "steps": 4, "learning_rate": 1e-2, "batch": 16, "per_device": 16, "samples": 8, "max_tokens": 12,
            "log_every": 1, "save_every": 2, "rewards": {"length": 1.0},
        }
    },
}  # fmt: skip
"""Trainings that the script is killed in; the reward for length is one that random text gets."""


def main(folder: str, method: str, step: str) -> None:
    def tell(at: int, last: int, figures: dict[str, float]) -> None:
        if at == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    here = settings_in(Path(folder))
    trained(here, planned(here, KILLED[method]), Watch(on_figures=tell))


if __name__ == "__main__":
    main(*sys.argv[1:])
