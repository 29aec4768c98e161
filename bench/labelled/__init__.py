"""Where the data lies that the benches read and the project does not ship: TRACEMILL_TEST_DATA, or beside the clone."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("TRACEMILL_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def need_data() -> None:
    """Where there is none, end the bench with one line of JSON that says so, and exit code 0: a clone works without."""
    if not DATA.is_dir():
        print(json.dumps({"skipped": f"no labelled data at {DATA} (set TRACEMILL_TEST_DATA)"}))
        raise SystemExit(0)


def rows(path: str) -> Iterator[dict[str, Any]]:
    """Those of a file, such as `traces/long_reasoning`, one at a time."""
    with gzip.open(DATA / f"{path}.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)
