"""Exports a data set in its own think format: `corpus.export` with the rendering that `core.markup` knows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tracemill.core.markup import markup_named
from tracemill.core.settings import Settings
from tracemill.core.types import Trace
from tracemill.corpus.export import Exported, export
from tracemill.corpus.selection import find
from tracemill.corpus.store import Corpus
from tracemill.filters.privacy import masked


def completion_text(trace: Trace) -> str:
    """The trace as the model should write it: the text that was split, with its tags."""
    return markup_named(trace.thinking).join(trace.reasoning, trace.answer)


def export_dataset(
    settings: Settings, name: str, version: int | None, folder: Path | None, layout: Literal["parquet", "arrow"]
) -> Exported:
    """Write one version (the latest where None) to `folder`, or to `<exports>/<name>-v<version>`. Raises InputError."""
    corpus = Corpus.open(settings.corpus)
    target = folder or settings.exports / f"{name}-v{find(corpus, name, version).version}"
    return export(corpus, name, version, target, completion_text, masked, layout)
