"""Does curation matter? The same model trained on all that a teacher wrote, and on what a verifier kept of it.

    python bench/loop.py [--seeds 1,2,3] [--out FOLDER] [--quick]

`make loop` runs it: a shipped pipeline of stages (recipes/loop.yaml) with several seeds. Ends with a table, a picture,
and one line of JSON: the mean held-out accuracy of each model, 0 to 1. Fails where curation is worth less than it
should be. What is done already is not done again. `--quick` takes one seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from curation import teacher
from rich.console import Console
from rich.table import Table

from tracemill.cli.run import run_pipeline
from tracemill.core.settings import settings
from tracemill.pipelines.evaluation import Evaluation, Figure
from tracemill.pipelines.recipe import SHIPPED, parsed
from tracemill.pipelines.stages import StagesRecipe

Scores = Mapping[str, Figure]
"""pass@1 on held-out questions, by the name of the stage that evaluates."""
APART = 100_000
"""Between the seeds of two runs: question i of reasoning-gym's seed s is that of seed s + i."""
LEAST = {"curated": 0.95, "grpo": 0.90}
LEAST_GAIN = 0.20
"""What curation and reinforcement learning come to at least, and how far curated is over all."""


def pipeline_of(seed: int, folder: Path) -> StagesRecipe:
    """The shipped pipeline with another seed in every place that has one, and its files in `folder`."""
    data = yaml.safe_load((SHIPPED / "loop.yaml").read_text(encoding="utf-8"))
    seeded = _seeded(data, seed, folder)
    return parsed({**seeded, "name": f"{data['name']}-{seed}"}, StagesRecipe, "loop.yaml")


def _seeded(data: Any, seed: int, folder: Path) -> Any:
    if isinstance(data, list):
        return [_seeded(one, seed, folder) for one in data]
    if not isinstance(data, dict):
        return data
    own: Mapping[str, Callable[[Any], Any]] = {
        "seed": lambda value: value + APART * (seed - 1),
        "path": lambda value: str(folder / value),
    }
    return {key: own[key](value) if key in own else _seeded(value, seed, folder) for key, value in data.items()}


def scores(seed: int, out: Path) -> Scores:
    """What each model of the pipeline can do."""
    folder = out / f"seed-{seed}"
    teacher.write(folder, seed)
    made = run_pipeline(pipeline_of(seed, folder), settings(), again="make loop")
    evaluations: list[tuple[str, Evaluation]] = [(one.stage, one.evaluation) for one in made if one.evaluation]
    return {stage: found.figure("pass@1") for stage, found in evaluations}


def table(found: Mapping[int, Scores]) -> Table:
    """A row for each seed, a column for each model."""
    shown = Table(title="held-out accuracy, 95 % interval", box=None, pad_edge=False)
    names = list(next(iter(found.values())))
    for name in ("seed", *names):
        shown.add_column(name, justify="right", no_wrap=True)
    for seed, figures in found.items():
        cells = (f"{one.value:.1%} ({one.low:.1%}–{one.high:.1%})" for one in figures.values())
        shown.add_row(str(seed), *cells)
    return shown


def picture(found: Mapping[int, Scores], path: Path) -> None:
    """Bars of the means, a dot with its interval for each seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(next(iter(found.values())))
    figure, axes = plt.subplots(figsize=(1.6 * len(names) + 1, 3.6), layout="constrained")
    axes.bar(names, [100 * mean(found, name) for name in names], color="#9ecae1", width=0.7)
    for at, figures in enumerate(found.values()):
        shift = (at - (len(found) - 1) / 2) * 0.15
        for place, name in enumerate(names):
            one = figures[name]
            low, high = (one.value - (one.low or 0.0)) * 100, ((one.high or 1.0) - one.value) * 100
            axes.errorbar(
                place + shift, 100 * one.value, [[max(0, low)], [max(0, high)]], fmt="o", ms=4, color="#08519c"
            )
    axes.set_ylim(0, 105)
    axes.set_ylabel("held-out accuracy, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def mean(found: Mapping[int, Scores], name: str) -> float:
    """Over the seeds."""
    return sum(figures[name].value for figures in found.values()) / len(found)


def shortfalls(found: Mapping[int, Scores]) -> list[str]:
    """Where a seed of the small model is below what it should be."""
    lines = []
    for seed, figures in found.items():
        values = {name: figures[name].value for name in LEAST}
        values["curated over uncurated"] = figures["curated"].value - figures["uncurated"].value
        least = LEAST | {"curated over uncurated": LEAST_GAIN}
        lines += [
            f"seed {seed}: {name} {one:.1%} < {least[name]:.0%}" for name, one in values.items() if one < least[name]
        ]
    return lines


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path, default=Path("tracemill-data/loop"))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    out, seeds = asked.out.absolute(), [1] if asked.quick else [*map(int, asked.seeds.split(","))]
    found = {seed: scores(seed, out) for seed in seeds}
    path = out / "loop.png"
    picture(found, path)
    print()
    Console(width=200, highlight=False).print(table(found))
    print(f"\npicture: {path}")
    print(json.dumps({one: round(mean(found, one), 4) for one in next(iter(found.values()))}))
    if short := shortfalls(found):
        sys.exit("\n".join(short))


if __name__ == "__main__":
    main()
