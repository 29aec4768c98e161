"""The sandbox over REST: off unless asked for, programs and limits in, what became of them out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tracemill.api import sandbox
from tracemill.api.app import create_app
from tracemill.core.settings import settings


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("TRACEMILL_SANDBOX_OVER_REST", "true")
    yield TestClient(create_app(settings()))
    sandbox.shared().close()
    sandbox.shared.cache_clear()


def test_it_is_not_offered_unless_enabled() -> None:
    answer = TestClient(create_app(settings())).post("/v1/sandbox/run", json={"source": "print(1)"})
    assert answer.status_code == 404
    assert "TRACEMILL_SANDBOX_OVER_REST=true" in answer.json()["error"]


def test_a_program_and_its_limits(client: TestClient) -> None:
    body = {"source": "import help\nprint(int(input()) + help.one)", "stdin": "41", "files": {"help.py": "one = 1"}}
    answer = client.post("/v1/sandbox/run", json=body).json()
    assert (answer["ending"], answer["code"], answer["stdout"], answer["stderr"]) == ("exited", 0, "42\n", "")
    answer = client.post("/v1/sandbox/run", json={"source": "while True: pass", "limits": {"cpu_s": 0.2}}).json()
    assert answer["ending"] == "cpu"


def test_mistakes_are_one_line(client: TestClient) -> None:
    answer = client.post("/v1/sandbox/run", json={"source": "", "limits": {"cpu_s": 0}})
    assert (answer.status_code, answer.json()["error"]) == (422, "limits.cpu_s: Input should be greater than 0")
    answer = client.post("/v1/sandbox/run", json={"source": "", "files": {"a/b": ""}})
    assert (answer.status_code, "plain name" in answer.json()["error"]) == (422, True)
    answer = client.post("/v1/sandbox/run", json={"source": "", "files": {"a" * 256: ""}})
    assert (answer.status_code, "255 bytes" in answer.json()["error"]) == (422, True)


def test_more_than_the_service_can_bear_are_turned_away(client: TestClient) -> None:
    for _ in range(sandbox.MOST_AT_A_TIME):
        assert sandbox._places.acquire(blocking=False)
    try:
        answer = client.post("/v1/sandbox/run", json={"source": ""})
        assert (answer.status_code, "16 programs run or wait already" in answer.json()["error"]) == (503, True)
    finally:
        sandbox._places.release(sandbox.MOST_AT_A_TIME)
    assert client.post("/v1/sandbox/run", json={"source": ""}).status_code == 200
