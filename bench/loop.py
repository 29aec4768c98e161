"""Does curation matter? The same model trained on all that was written, and on what a verifier kept of it.

    python bench/loop.py [--size small|135m] [--seeds 1,2,…] [--out FOLDER] [--quick]

`make loop` runs it: a shipped pipeline of stages. `small` (recipes/loop.yaml): a Llama from scratch and a careless
teacher, three seeds in minutes. `135m` (recipes/loop_135m.yaml): SmolLM2-135M teaches itself in two rounds, one seed
unless more are named, about an hour or more each. Ends with a table, what it cost, a picture, and one line of JSON: the
mean held-out accuracy of each model, 0 to 1. Fails where curation is worth less than it should be. What is done already
is not done again. `--quick` takes one seed of the small size.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from curation import teacher
from curation.results import Scores, Spent, costs, mean, picture, scores_of, spent_on, table
from rich.console import Console

from tracemill.cli.run import run_pipeline
from tracemill.core.errors import TracemillError
from tracemill.core.settings import settings
from tracemill.pipelines.recipe import SHIPPED, parsed
from tracemill.pipelines.stages import StagesRecipe

APART = 100_000
"""Between the seeds of two runs: question i of reasoning-gym's seed s is that of seed s + i."""


@dataclass(frozen=True, slots=True)
class Size:
    """What is run, and what it has to come to."""

    recipe: str
    prepare: Callable[[Path, int], None]
    """Writes the files that the recipe reads."""
    least: Mapping[str, float]
    """Least accuracy of each model."""
    least_gain: float
    """Of curated over uncurated."""
    seeds: str
    """Those that are run where none are named."""


SIZES = {
    "small": Size("loop.yaml", teacher.write, {"curated": 0.95, "grpo": 0.90}, 0.20, "1,2,3"),
    "135m": Size("loop_135m.yaml", lambda folder, seed: None, {"curated": 0.25}, 0.10, "1"),
}


def pipeline_of(size: Size, seed: int, folder: Path) -> StagesRecipe:
    """The shipped pipeline with another seed in every place that has one, and its files in `folder`."""
    data = yaml.safe_load((SHIPPED / size.recipe).read_text(encoding="utf-8"))
    seeded = _seeded(data, seed, folder)
    return parsed({**seeded, "name": f"{data['name']}-{seed}"}, StagesRecipe, size.recipe)


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


def shortfalls(found: Mapping[int, Scores], size: Size) -> list[str]:
    """Where a seed is below what it should be."""
    least = {**size.least, "curated over uncurated": size.least_gain}
    lines = []
    for seed, rows in found.items():
        values = {name: rows["all"][name].value for name in size.least}
        values["curated over uncurated"] = rows["all"]["curated"].value - rows["all"]["uncurated"].value
        lines += [
            f"seed {seed}: {name} {one:.1%} < {least[name]:.0%}" for name, one in values.items() if one < least[name]
        ]
    return lines


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--out", type=Path, default=Path("tracemill-data/loop"))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    size, out = SIZES[asked.size], asked.out.absolute() / asked.size
    out.mkdir(parents=True, exist_ok=True)
    found: dict[int, Scores] = {}
    spent: dict[int, Spent] = {}
    seeds = "1" if asked.quick else asked.seeds or size.seeds
    for seed in map(int, seeds.split(",")):
        folder = out / f"seed-{seed}"
        size.prepare(folder, seed)
        pipeline = pipeline_of(size, seed, folder)
        try:
            made = run_pipeline(pipeline, settings(), again=f"make loop SIZE={asked.size} SEEDS={seeds}")
        except TracemillError as error:
            sys.exit(str(error))
        found[seed] = scores_of(made)
        spent[seed] = spent_on(pipeline, settings())
    path = out / "loop.png"
    picture(found, path)
    console = Console(width=200, highlight=False)
    for shown in (table(found), costs(spent)):
        print()
        console.print(shown)
    print(f"\npicture: {path}")
    print(json.dumps({name: round(mean(found, "all", name), 4) for name in next(iter(found.values()))["all"]}))
    if short := shortfalls(found, size):
        sys.exit("\n".join(short))


if __name__ == "__main__":
    main()
