"""The figures that a training logs: into the table `training` as it runs, with what it came to in all.

What was logged of steps after the last checkpoint is logged again by the run that goes on from it, and the newer row
counts (view `latest_training`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row
from tracemill.trainers.callbacks import Report

EVERY_S = 10.0
"""Seconds between two writes: one takes 50 ms, and steps of a small model 20."""


@dataclass
class TrainingLog:
    """Of one run; `add` is called by the process that trains."""

    corpus: Corpus
    run_id: str
    state: Path
    """Where the totals stand between two runs of the same training."""
    told: Report
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Of training, in all runs."""
    _rows: list[Row] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)
    _looked: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def open(cls, corpus: Corpus, run_id: str, folder: Path, told: Report) -> Iterator[TrainingLog]:
        """The log of a run; what is left is written at the end, however it ends."""
        state = folder / "totals.json"
        totals = json.loads(state.read_text()) if state.is_file() else {}
        log = cls(corpus, run_id, state, told, **totals)
        try:
            yield log
        finally:
            log.write()

    def add(self, step: int, last: int, figures: dict[str, float]) -> None:
        """Take what was logged at a step."""
        now = time.monotonic()
        self.seconds, self._looked = self.seconds + now - self._looked, now
        self._take(step, figures)
        self.told(step, last, figures)
        if now - self._written >= EVERY_S:
            self.write()

    def _take(self, step: int, figures: Mapping[str, float]) -> None:
        self.steps, self.tokens = step, int(figures.get("num_tokens", self.tokens))
        self._note(step, figures)

    def _note(self, step: int, figures: Mapping[str, float]) -> None:
        at = tables.now()
        self._rows += [
            {"run_id": self.run_id, "step": step, "figure": name, "value": value, "created_at": at}
            for name, value in figures.items()
        ]

    def count(self, rows: Mapping[str, int]) -> None:
        """Take how many rows there are, and how many were left out for what: figures of step 0."""
        self._note(0, {f"rows/{name}": value for name, value in rows.items()})

    def restore(self, logged: Iterable[tuple[int, dict[str, float]]]) -> None:
        """Take again what was logged up to a checkpoint: a process that is killed may not have written it."""
        for step, figures in logged:
            self._take(step, figures)

    def write(self) -> None:
        """Make it durable."""
        if self._rows:
            rows, app_id = tables.arrow("training", self._rows), f"training/{self.run_id}"
            while not self.corpus.append("training", rows, app_id, self.corpus.last("training", app_id) + 1):
                pass  # another writer had that number
            self._rows = []
        beside = self.state.with_suffix(".new")  # on a full disk the old one stays whole
        beside.write_text(json.dumps({"steps": self.steps, "tokens": self.tokens, "seconds": self.seconds}))
        beside.replace(self.state)
        self._written = time.monotonic()
