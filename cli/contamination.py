"""`tracemill contamination`: which rows of files hold text of benchmarks. Needs no corpus and no model."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from tracemill.core.errors import InputError
from tracemill.filters.contamination import described

if TYPE_CHECKING:
    from tracemill.filters.contamination.benchmarks import Part
    from tracemill.filters.contamination.index import Hit
    from tracemill.filters.contamination.paraphrase import Paraphrases

KINDS = ("ngrams", "whole", "similar", "paraphrase")


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one column in one row."""

    file: str
    row: int
    """From 1, in file order."""
    column: str
    text: str

    def __len__(self) -> int:
        return len(self.text)


@dataclass(slots=True)
class Scan:
    """What has been looked at."""

    rows: int = 0
    characters: int = 0

    def documents(self, paths: Iterable[Path], columns: Sequence[str]) -> Iterator[Document]:
        """The texts of these columns, or of all, in file order. Raises InputError for a row that lacks one."""
        from tracemill.filters.contamination.benchmarks import rows_of, text_of

        for path in paths:
            for number, (place, row) in enumerate(rows_of(path, "contamination"), 1):
                self.rows += 1
                for column in columns or row:
                    if column not in row:
                        raise InputError(f"{place}: no column {column!r} (the row has: {', '.join(row)}); set --column")
                    if isinstance(row[column], str | list | dict) and (text := text_of(row[column])):
                        self.characters += len(text)
                        yield Document(str(path), number, column, text)


@dataclass(slots=True)
class Tally:
    """The hits in rows, for one benchmark or for all."""

    rows: int = 0
    """Rows with a hit."""
    items: set[tuple[str, str]] = field(default_factory=set)
    """Items that were hit, with their benchmark."""
    kinds: Counter[str] = field(default_factory=Counter)
    _last: tuple[str, int] = ("", 0)

    def add(self, document: Document, hit: Hit) -> None:
        """Count one more; the hits of one row follow each other."""
        here = (document.file, document.row)
        self.rows += here != self._last
        self._last = here
        self.items.add((hit.part.benchmark, hit.part.item))
        self.kinds[hit.kind] += 1


def contamination(
    files: Annotated[list[Path], typer.Argument(help=".jsonl, .jsonl.gz, .parquet, or a folder that `datasets` saved")],
    against: Annotated[list[Path], typer.Option(help="a benchmark, in the same formats; repeatable")],
    n: Annotated[Literal["8", "10", "13"], typer.Option(help="words of an n-gram")] = "13",
    column: Annotated[list[str] | None, typer.Option(help="column to look in; repeatable; unset: all")] = None,
    against_column: Annotated[
        list[str] | None, typer.Option(help="the benchmarks' question, then solutions; repeatable; unset: known names")
    ] = None,
    fuzzy: Annotated[
        float, typer.Option(min=80, max=100, help="least ratio to a question that differs a little; 100: none may")
    ] = 95.0,
    semantic: Annotated[
        float | None,
        typer.Option(min=0.5, max=1, help="least cosine to a question in other words (.7); unset: none is looked for"),
    ] = None,
    min_coverage: Annotated[float, typer.Option(min=0, max=1, help="least share of an item's n-grams")] = 0.0,
    report: Annotated[Path | None, typer.Option(help="JSONL file: a line for each hit")] = None,
    examples: Annotated[int, typer.Option(min=0, help="hits to show")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
) -> None:
    """Look for text of benchmarks in files: n-grams of words, short questions as a whole, questions nearly the same.

    With --semantic also questions in other words (needs the extra `semantic`).

    Exit code 1 if any row holds some.
    """
    from tracemill.filters.contamination.benchmarks import parts_of

    options = ("--against", "--against-column")
    parts = [part for path in against for part in parts_of(path, against_column or (), *options)]
    scan, total = Scan(), Tally()
    tallies = {part.benchmark: Tally() for part in parts}
    shown: list[str] = []
    with ExitStack() as opened:
        out = opened.enter_context(_written(report)) if report else None
        for document, hit in _hits(scan.documents(files, column or ()), parts, int(n), fuzzy, semantic):
            if hit.coverage < min_coverage and hit.kind != "paraphrase":
                continue
            total.add(document, hit)
            tallies[hit.part.benchmark].add(document, hit)
            if len(shown) < examples:
                shown.append(f"{document.file}:{document.row} {document.column}: {described(hit, int(n))}")
            if out:
                out.write(json.dumps(_line(document, hit)) + "\n")
    found = _summary(scan, total, tallies, parts)
    typer.echo(json.dumps(found | {"n": int(n), "examples": shown})) if as_json else _print(found, shown)
    if total.rows:
        sys.exit(1)


def _written(report: Path) -> IO[str]:
    try:
        return report.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--report: cannot write {report}: {error.strerror}") from error


def _hits(
    documents: Iterable[Document], parts: Sequence[Part], n: int, fuzzy: float, semantic: float | None
) -> Iterator[tuple[Document, Hit]]:
    """The hits in order of the documents.

    A question nearly the same is looked for where nothing is found so far, and one in other words last of all.
    """
    from tracemill.filters.contamination.index import Index, batches
    from tracemill.filters.contamination.ngrams import words_of
    from tracemill.filters.contamination.similar import Similar

    index = Index(parts, n)
    similar = Similar(index, fuzzy) if fuzzy < 100 else None
    paraphrases = _paraphrases(parts, semantic) if semantic is not None else None
    for batch in batches(documents):
        words = words_of([document.text for document in batch])
        hits = list(index.search_words(words))
        if similar is not None:
            hits += similar.search_words(words, {hit.text for hit in hits})
        if paraphrases is not None:
            hits += paraphrases.search(words.texts, {hit.text for hit in hits})
        yield from ((batch[hit.text], hit) for hit in sorted(hits, key=lambda hit: hit.text))


def _paraphrases(parts: Sequence[Part], semantic: float) -> Paraphrases:
    from tracemill.filters.contamination.paraphrase import Paraphrases
    from tracemill.filters.embedding import need_model

    need_model("--semantic")
    return Paraphrases(parts, semantic)


def _line(document: Document, hit: Hit) -> dict[str, Any]:
    return {
        "file": document.file,
        "row": document.row,
        "column": document.column,
        "kind": hit.kind,
        "benchmark": hit.part.benchmark,
        "item": hit.part.item,
        "item_column": hit.part.column,
        "coverage": round(hit.coverage, 4),
        "span": hit.span,
    }


def _summary(scan: Scan, total: Tally, tallies: Mapping[str, Tally], parts: Sequence[Part]) -> dict[str, Any]:
    sizes = Counter(name for name, _ in {(part.benchmark, part.item) for part in parts})
    benchmarks = {
        name: {"items": sizes[name], "items_found": len(one.items), "rows": one.rows}
        | {kind: one.kinds[kind] for kind in KINDS}
        for name, one in tallies.items()
    }
    return {
        "rows": scan.rows,
        "characters": scan.characters,
        "contaminated_rows": total.rows,
        "benchmarks": benchmarks,
    }


def _print(found: Mapping[str, Any], shown: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark")
    for name in ("items", "found", "in rows", *KINDS):
        table.add_column(name, justify="right")
    for name, counts in found["benchmarks"].items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    Console(soft_wrap=True).print(table)
    for line in shown:
        typer.echo(f"\n{line}")
    typer.echo(
        f"{found['rows']:,} rows, {found['characters']:,} characters: {found['contaminated_rows']:,} rows hold text of "
        "a benchmark",
        err=True,
    )
