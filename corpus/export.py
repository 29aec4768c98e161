"""Writes a dataset version as a folder that trainers read: TRL's prompt + completion rows, and a data card.

The folder appears whole or not at all. How reasoning and answer become one text is the caller's `render`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from tracemill.core.errors import CorpusError, InputError, nearest
from tracemill.core.types import Prompt, Trace
from tracemill.corpus.card import Counts, card
from tracemill.corpus.funnel import funnel
from tracemill.corpus.selection import DatasetVersion, find
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import Row, item_of
from tracemill.corpus.views import named_sql

Layout = Literal["parquet", "arrow"]
Render = Callable[[Trace], str]
Mask = Callable[[Trace, Prompt, Collection[str]], Trace]

SHARD_ROWS = 100_000
MARKER = ".tracemill-export.json"
_BATCH = 1000

_CHAT = pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())]))
_SCHEMA = pa.schema([
    pa.field("prompt", _CHAT), pa.field("completion", _CHAT), pa.field("trace_id", pa.string()),
    pa.field("prompt_id", pa.string()), pa.field("domain", pa.string()), pa.field("model", pa.string()),
    pa.field("verifier", pa.string()), pa.field("reference", pa.string()), pa.field("label_source", pa.string()),
    pa.field("completion_tokens", pa.int64()),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export."""

    path: Path
    rows: int
    load: str
    """The line of Python that loads it."""


def export(
    corpus: Corpus,
    name: str,
    version: int | None,
    folder: Path,
    render: Render,
    mask: Mask,
    layout: Layout = "parquet",
) -> Exported:
    """Export a version of a dataset, the latest where none is given, to `folder`.

    `render` gives the assistant's text, which must contain the trace's reasoning, and `mask` a trace without
    personal data of the kinds that the version masks. An earlier export in `folder` is replaced, any other non-empty
    folder refused. Raises InputError and, where the disk fails, CorpusError.
    """
    if layout not in get_args(Layout):
        raise InputError(f"layout: unknown layout {layout!r}{nearest(layout, get_args(Layout))}")
    found = find(corpus, name, version)
    target = folder.expanduser().absolute()
    _check_free(target)
    load = _load_line(target, layout)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            counts = Counts()
            rows = counts.over(_rows(corpus, found, render, mask))
            _write_parquet(rows, found.rows, new) if layout == "parquet" else _write_arrow(rows, new)
            if counts.rows != found.rows:
                missing = found.rows - counts.rows
                raise CorpusError(f"dataset {name!r}: {missing} of its traces or prompts are missing in {corpus.root}")
            text = card(found, counts, funnel(corpus, found.job_id, found.policy, found), load)
            (new / "README.md").write_text(text)
            (new / MARKER).write_text(json.dumps({"name": name, "version": found.version, "layout": layout}))
            new.chmod(0o755)
            _put(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise CorpusError(f"{target}: cannot be written ({error}); free space or mend it, then export again") from error
    return Exported(target, counts.rows, load)


def _check_free(target: Path) -> None:
    """Nothing but an earlier export may be replaced."""
    if target.is_dir():
        if any(target.iterdir()) and not (target / MARKER).is_file():
            raise InputError(f"folder: {target} is not empty and not an export; name a new folder")
    elif target.exists():
        raise InputError(f"folder: {target} is a file; name a new folder")


def _load_line(target: Path, layout: Layout) -> str:
    if layout == "parquet":
        return f'datasets.load_dataset({str(target)!r}, split="train")'
    return f"datasets.load_from_disk({str(target)!r})"


def _rows(corpus: Corpus, dataset: DatasetVersion, render: Render, mask: Mask) -> Iterator[Row]:
    kinds = dataset.selection.masks
    for row in corpus.stream(named_sql("members"), {"name": dataset.name, "version": dataset.version}):
        item = item_of(row)
        prompt = item.prompt
        trace = mask(item.trace, prompt, kinds) if kinds else item.trace
        text = render(trace)
        if trace.reasoning not in text:
            raise InputError(f"render: the text of trace {trace.id} lacks its reasoning; use the trace's think format")
        yield {
            "prompt": [{"role": "user", "content": prompt.text}],
            "completion": [{"role": "assistant", "content": text}],
            "trace_id": trace.id,
            "prompt_id": prompt.id,
            "domain": prompt.domain,
            "model": trace.model,
            "verifier": prompt.verifier,
            "reference": prompt.reference if row["label"] is None else row["label"],
            "label_source": row["label_source"],
            "completion_tokens": trace.completion_tokens,
        }


def _tables(rows: Iterable[Row]) -> Iterator[pa.Table]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield pa.Table.from_pylist(batch, schema=_SCHEMA)


def _write_parquet(rows: Iterator[Row], count: int, folder: Path) -> None:
    shards = -(-count // SHARD_ROWS)
    (folder / "data").mkdir()
    for shard in range(shards):
        path = folder / "data" / f"train-{shard:05d}-of-{shards:05d}.parquet"
        with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
            for table in _tables(islice(rows, SHARD_ROWS)):
                writer.write_table(table)


def _write_arrow(rows: Iterator[Row], folder: Path) -> None:
    """By way of a memory-mapped stream, so that the set need not fit into memory."""
    from datasets import Dataset  # takes seconds to import

    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as aside:
        stream = Path(aside) / "stream"
        with pa.OSFile(str(stream), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
            for table in _tables(rows):
                writer.write_table(table)
        Dataset.from_file(str(stream)).save_to_disk(str(folder))


def _put(new: Path, target: Path) -> None:
    """Put the finished folder in its place; an earlier export goes once the new one stands."""
    old = new.with_name(new.name + "-old")
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    shutil.rmtree(old, ignore_errors=True)
