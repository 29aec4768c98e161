"""Shared by all tests: no test writes outside its own folder, and real data is found or its absence said."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

# No test is timed: a loaded machine is no defect. CI tries the same examples each time, a developer's machine new ones.
hypothesis_settings.register_profile("tracemill", deadline=None, derandomize="CI" in os.environ)
hypothesis_settings.load_profile("tracemill")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings point into the test's folder; the model cache stays where `make test` put the model."""
    monkeypatch.setenv("TRACEMILL_CORPUS", str(tmp_path / "corpus"))
    monkeypatch.setenv("TRACEMILL_EXPORTS", str(tmp_path / "exports"))
    monkeypatch.setenv("TRACEMILL_JOBS_URL", f"sqlite:///{tmp_path}/jobs.db")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of labelled data that the project does not ship: TRACEMILL_TEST_DATA, or ../shared/data beside the clone."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("TRACEMILL_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no labelled data at {folder} (set TRACEMILL_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def sentences(real_data: Path) -> dict[str, list[str]]:
    """Real sentences by ISO 639-1 code of their language."""
    found: dict[str, list[str]] = {}
    with gzip.open(real_data / "languages" / "sentences.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            found.setdefault(row["lang"], []).append(row["text"])
    return found
