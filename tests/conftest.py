"""Shared by all tests: no test writes outside its own folder, and real data is found or its absence said."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

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
    monkeypatch.setenv("TRACEMILL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TRACEMILL_JOBS_URL", f"sqlite:///{tmp_path}/jobs.db")


@pytest.fixture(scope="module", autouse=True)
def own_cluster() -> Iterator[None]:
    """A module's Ray cluster ends with it: a process is in one cluster, and the next module may want another."""
    yield
    if (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        ray.shutdown()


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


@dataclass(frozen=True)
class S3:
    """The S3 server of tests/s3_server.py."""

    endpoint: str
    bucket: str = "bucket"

    def fault(self, method: str, key: str, does: str | int, times: int = 1) -> None:
        """The next requests of that method whose path contains `key` fail; see the server."""
        self._ask("/_fault", {"method": method, "key": key, "does": does, "times": times})

    def heal(self) -> None:
        """No request fails any more."""
        self._ask("/_heal", {})

    def counts(self) -> dict[str, int]:
        """Requests by method, and the bytes `sent`, since the last call."""
        found: dict[str, int] = json.loads(self._ask("/_counts", {}))
        return found

    def _ask(self, path: str, body: dict[str, object]) -> bytes:
        with urllib.request.urlopen(self.endpoint + path, json.dumps(body).encode()) as answer:
            text: bytes = answer.read()
        return text


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("s3_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    s3 = S3(f"http://127.0.0.1:{int(server.stdout.readline())}")
    with urllib.request.urlopen(urllib.request.Request(f"{s3.endpoint}/{s3.bucket}", method="PUT")):
        pass
    yield s3
    server.communicate()  # it ends with its input


@pytest.fixture(scope="session")
def s3(s3_server: S3) -> Iterator[S3]:
    """A server, and the environment that leads to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": s3_server.endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "very-secret",
            "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        yield s3_server


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new corpus may be made: a folder, and a prefix on a store."""
    if request.param == "folder":
        return tmp_path / "corpus"
    return f"s3://{request.getfixturevalue('s3').bucket}/{uuid4().hex}/corpus"
