"""The data card of an export, its README.md.

Its YAML header names no data files: with a `configs` entry `datasets` (5.2) keys its cache by the folder's name alone,
and loads an older export of the same name in place of this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version

from tracemill.corpus.funnel import Funnel
from tracemill.corpus.selection import DatasetVersion
from tracemill.corpus.tables import Row

_HEADER = """---
pretty_name: "{name}"
task_categories:
- text-generation
tags:
- reasoning
- tracemill
---
"""


@dataclass(slots=True)
class Counts:
    """What went by while rows were written."""

    rows: int = 0
    tokens: int = 0
    prompts: set[str] = field(default_factory=set)
    by: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("model", "label_source", "domain", "verifier")}
    )

    def over(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The same rows, counted."""
        for row in rows:
            self.rows += 1
            self.tokens += row["completion_tokens"]
            self.prompts.add(row["prompt_id"])
            for name, counter in self.by.items():
                counter[row[name]] += 1
            yield row


def card(dataset: DatasetVersion, counts: Counts, funnel: Funnel, load: str) -> str:
    """The text of README.md."""
    header = _HEADER.format(name=dataset.name)
    parts = [
        f"# {dataset.name}, version {dataset.version}",
        f"Verified chains of thought, made with tracemill {version('tracemill')}.",
        f"```python\nimport datasets\ndataset = {load}\n```",
        _contents(counts),
        _selection(dataset),
        _funnel(funnel),
    ]
    return header + "\n" + "\n\n".join(parts) + "\n"


def _contents(counts: Counts) -> str:
    titles = {"model": "models", "label_source": "label sources", "domain": "domains", "verifier": "verifiers"}
    lists = [
        f"| {titles[name]} | " + ", ".join(f"{_cell(key)} ({count:,})" for key, count in sorted(counter.items())) + " |"
        for name, counter in counts.by.items()
    ]
    return "\n".join([
        "## What is in it", "", "| | |", "|---|---|",
        f"| rows | {counts.rows:,} |", f"| prompts | {len(counts.prompts):,} |",
        f"| completion tokens | {counts.tokens:,} |", *lists,
    ])  # fmt: skip


def _selection(dataset: DatasetVersion) -> str:
    chosen = dataset.selection
    low, high = chosen.pass_rate
    most = "all" if chosen.per_prompt is None else f"at most {chosen.per_prompt}"
    seed = f" (seed {chosen.seed})" if chosen.order == "random" else ""
    masks = f" Masked in the chains: {', '.join(chosen.masks)}." if chosen.masks else ""
    return "\n".join([
        "## How it was selected", "",
        f"From job `{dataset.job_id}`, filter policy `{dataset.policy}`: correct traces that no filter dropped, "
        f"of prompts with a pass rate from {low:g} to {high:g}; {most} of each prompt, {chosen.order} first{seed}."
        f"{masks}",
    ])  # fmt: skip


def _funnel(funnel: Funnel) -> str:
    stages = ("generated", "well_formed", "correct", "sifted", "kept")
    rows = [f"| {stage.replace('_', '-')} | {getattr(funnel, stage):,} |" for stage in stages]
    reasons = [f"| {part.stage} | {_cell(part.reason)} | {part.count:,} |" for part in funnel.fallen]
    return "\n".join([
        "## What became of all traces", "",
        f"{funnel.prompts:,} prompts, {funnel.completion_tokens:,} tokens generated.", "",
        "| stage | traces |", "|---|---|", *rows, "",
        "| fell at | reason | traces |", "|---|---|---|", *reasons,
    ])  # fmt: skip


def _cell(text: str) -> str:
    """Text that cannot break out of a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")
