"""Guarded SQL: one read-only query by somebody we do not trust, in a child process with limits.

Offers a view of each table of `corpus.tables`, and metrics, latest_verdicts, latest_anatomy, latest_training and
latest_evaluations. What the child may do stands in `corpus.sql_child`; here are the deadline and the words for what
went wrong.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.core.errors import CorpusError, InputError
from tracemill.corpus import views
from tracemill.corpus.serving import Served
from tracemill.corpus.store import Corpus
from tracemill.corpus.tables import SCHEMAS

TABLES = (*SCHEMAS, "latest_verdicts", "latest_anatomy", "latest_training", "latest_evaluations", "metrics")
"""What can be asked."""
_BYTES = 32 * 2**20  # most bytes of one result, as JSON


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of plain values: None, bool, int, float, str, list, dict; times are ISO text (UTC), bytes are base64."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """DuckDB's names of the columns' types."""
    rows: list[tuple[Any, ...]]
    truncated: bool
    """There are more rows than the caps allow."""
    elapsed_ms: float


def query(root: Path | str, sql: str, *, seconds: float, memory_mb: int, rows: int) -> QueryResult:
    """Run one SELECT (also FROM, VALUES, WITH, DESCRIBE, SHOW) over the corpus at `root`.

    `seconds` of wall clock, `memory_mb` MiB beyond what DuckDB needs to start, at most `rows` rows and 32 MiB come
    back. Raises InputError in one line for whatever is wrong with the query.
    """
    start = time.monotonic()
    corpus = Corpus.open(root)
    hidden = views.hide(corpus.files())
    request = {
        "views": views.statements(hidden.urls), "sizes": hidden.sizes, "sql": sql, "seconds": seconds,
        "memory_mb": memory_mb, "rows": rows, "bytes": _BYTES, "paths": hidden.paths, "pipes": [],
    }  # fmt: skip
    if corpus.place.ranges is None:
        printed = _child(request, ())
    else:
        with Served(hidden.paths, corpus.place.ranges) as served:
            printed = _child(request | {"paths": {}, "pipes": served.handles}, served.handles)
        if served.failure:
            raise CorpusError(f"{corpus.root}: cannot be read ({served.failure}); mend it, then run again")
    head, *body = [json.loads(line) for line in printed] or [{"memory": True}]
    foot = body.pop() if body else head
    if not isinstance(foot, dict) or not foot.keys() & {"truncated", "error"}:  # it said so, or it died of it
        raise InputError(f"sql: needs more than {memory_mb} MB or {seconds:g} s of work; ask for less at once")
    if "error" in foot:
        raise InputError(f"sql: {_without_strangers(_one_line(foot['error']))}")
    return QueryResult(
        columns=tuple(head["columns"]),
        types=tuple(head["types"]),
        rows=[tuple(row) for row in body],
        truncated=foot["truncated"],
        elapsed_ms=(time.monotonic() - start) * 1000,
    )


def _child(request: dict[str, Any], pipes: Sequence[int]) -> list[str]:
    """The whole lines that the child printed. Run by path and isolated: it imports nothing else of ours."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(__file__).with_name("sql_child.py"))],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=request["seconds"],
            cwd="/",
            pass_fds=pipes,
            env={"HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"sql: took longer than {request['seconds']:g} s and was stopped; ask for less at once"
        ) from None
    except OSError as error:
        raise CorpusError(f"sql: no process could be started ({error}); run again") from error
    if done.returncode == 1:  # a broken installation or a broken corpus, not the query
        raise CorpusError(f"sql: the query process failed ({_one_line(done.stderr)[-300:]}); check the corpus")
    return done.stdout.split("\n")[:-1]  # what follows the last line feed is nothing, or torn by a kill


def _without_strangers(message: str) -> str:
    """DuckDB says of an unknown table which of its own tables has a like name; what there is helps more."""
    unknown = re.match(r"Catalog Error: Table with name \"?([^\"\s]+)\"? does not exist", message)
    return f"no table {unknown[1]!r}; there are {', '.join(TABLES)}" if unknown else message


def _one_line(message: str) -> str:
    """DuckDB's message without its drawing of the query."""
    text = message.split("\n\nLINE ")[0]
    if text.lstrip().startswith("Traceback") or "\nTraceback" in text:  # from our read-only file system
        text = text.rstrip().splitlines()[-1]
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
