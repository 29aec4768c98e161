"""The REST service as its users call it; jobs run for real in a local Ray cluster with the fake engine."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from fastapi.testclient import TestClient

from tracemill.api.app import create_app
from tracemill.api.schemas import RECIPE_EXAMPLE
from tracemill.core.settings import settings


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(settings())) as client:
        yield client


def test_health_and_documentation(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": "0.1.0"}
    api = client.get("/openapi.json").json()
    assert set(api["paths"]) == {
        "/healthz",
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/pause",
        "/v1/jobs/{job_id}/resume",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/{job_id}/harvest",
        "/v1/sql",
        "/v1/datasets/{name}/exports",
        "/v1/sandbox/run",
    }
    body = api["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(api["paths"]["/v1/jobs/{job_id}/pause"]["post"]["responses"]) >= {"202", "404", "409"}
    assert body["application/json"]["example"]["name"] == yaml.safe_load(body["application/yaml"]["example"])["name"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "body: neither JSON nor YAML"),
        ("[1]", "recipe: a recipe is a mapping with the keys name, "),
        (json.dumps({**RECIPE_EXAMPLE, "fitlers": []}), "recipe: unknown key 'fitlers' (did you mean 'filters'?)"),
        (json.dumps({**RECIPE_EXAMPLE, "filters": ["lenght"]}), "filters[0]: unknown filter 'lenght'"),
        (json.dumps({**RECIPE_EXAMPLE, "generate": {"model": "gpt2"}}), "generate.model: unknown model 'gpt2'"),
    ],
)
def test_a_bad_recipe_is_one_line(client: TestClient, body: str, message: str) -> None:
    answer = client.post("/v1/jobs", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(message)
    assert client.get("/v1/jobs").json() == {"jobs": []}


def test_sql_reads_and_refuses(client: TestClient) -> None:
    found = client.post("/v1/sql", json={"query": "SELECT count(*) AS n, NULL AS x FROM traces"}).json()
    assert (found["columns"], found["rows"], found["truncated"]) == (["n", "x"], [[0, None]], False)
    for query in ("DROP TABLE traces", "SELECT 1; SELECT 2", "SELECT * FROM read_text('/etc/passwd')", "SELEC 1"):
        answer = client.post("/v1/sql", json={"query": query})
        assert answer.status_code == 422, query
        assert "\n" not in answer.json()["error"]
    assert client.post("/v1/sql", json={"sql": "SELECT 1"}).json() == {"error": "query: Field required"}


def test_what_is_not_there_is_named(client: TestClient) -> None:
    for method, path, status in (("GET", "/nope", 404), ("DELETE", "/v1/jobs", 405)):
        unknown = client.request(method, path)
        assert unknown.status_code == status
        assert set(unknown.json()) == {"error"}
        assert unknown.json()["error"].startswith(f"{method} {path}: ")
    assert client.get("/v1/jobs/nope").status_code == 404
    assert "no job 'nope'" in client.get("/v1/jobs/nope").json()["error"]
    bodies: tuple[dict[str, str] | None, ...] = ({}, None)
    for body in bodies:
        answer = client.post("/v1/datasets/nope/exports", json=body)
        assert (answer.status_code, "unknown dataset 'nope'" in answer.json()["error"]) == (404, True)


def finished(client: TestClient, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        if found["job"]["state"] in ("finished", "failed"):
            return found
        time.sleep(0.3)
    raise AssertionError(found)


@pytest.mark.ray
def test_a_job_from_recipe_to_export(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json=RECIPE_EXAMPLE)
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    found = finished(client, job_id)
    assert found["job"]["state"] == "finished", found["job"]["error"]
    funnel = found["funnel"]
    assert funnel["generated"] == 48
    assert funnel["kept"] > 5
    assert sum(one["count"] for one in funnel["fallen"]) == funnel["generated"] - funnel["kept"]
    assert found["job"]["progress"]["durable"] == 48
    assert [job["id"] for job in client.get("/v1/jobs").json()["jobs"]] == [job_id]

    again = client.post("/v1/jobs", content=yaml.safe_dump(RECIPE_EXAMPLE))
    assert again.json()["id"] == job_id, "the same recipe is the same job"
    assert finished(client, job_id)["funnel"] == funnel

    made = client.post("/v1/datasets/sums/exports")
    assert made.status_code == 201
    rows = datasets.load_dataset(made.json()["path"], split="train")
    assert len(rows) == made.json()["rows"] == funnel["kept"]
    assert rows[0]["completion"][0]["content"].startswith("<think>\n")


LONG = {
    **RECIPE_EXAMPLE,
    "name": "long",
    "prompts": [{"source": "reasoning_gym", "task": "chain_sum", "count": 400, "seed": 2}],
    "generate": {"engine": "fake", "samples": 100, "max_tokens": 128},
}


def until(client: TestClient, job_id: str, state: str, durable: int = 0) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        (job,) = [one for one in client.get("/v1/jobs").json()["jobs"] if one["id"] == job_id]
        if job["state"] == state and job["progress"].get("durable", 0) >= durable:
            return dict(job)
        assert job["state"] in ("queued", "running", state), job
        time.sleep(0.1)
    raise AssertionError(job)


@pytest.mark.ray
def test_a_job_is_paused_resumed_harvested_and_none_of_it_twice(client: TestClient) -> None:
    def order(verb: str) -> Any:
        return client.post(f"/v1/jobs/{job_id}/{verb}")

    def post(number: int) -> Any:
        return client.post("/v1/jobs", json=LONG)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(post, range(4)))
    assert {answer.status_code for answer in answers} == {202}, "submitted by four at once"
    (job_id,) = {answer.json()["id"] for answer in answers}
    until(client, job_id, "running", durable=1)
    answer = order("pause")
    assert (answer.status_code, answer.json()["requested"]) == (202, "pause")
    assert order("pause").status_code == 202
    first = until(client, job_id, "paused")["progress"]["durable"]
    assert 0 < first < 40_000
    assert client.get(f"/v1/jobs/{job_id}").json()["funnel"]["generated"] == first
    assert order("resume").status_code == order("resume").status_code == 202
    until(client, job_id, "running", durable=first + 1)
    assert order("harvest").json()["requested"] == "harvest"
    job = until(client, job_id, "finished")
    assert job["harvested"] is True
    funnel = client.get(f"/v1/jobs/{job_id}").json()["funnel"]
    assert first < funnel["generated"] == job["progress"]["durable"] == job["progress"]["totals"]["samples"] < 40_000
    assert funnel["kept"] > 0
    refused = order("cancel")
    assert refused.status_code == 409
    assert refused.json()["error"].endswith("is finished (harvested): it cannot cancel, it can resume")
    assert client.post("/v1/jobs/nope/pause").status_code == 404


@pytest.mark.ray
def test_an_actor_that_is_killed_goes_on_and_a_service_that_ends_leaves_paused_jobs_alone() -> None:
    with TestClient(create_app(settings())) as client:
        job_id = client.post("/v1/jobs", json={**LONG, "name": "killed"}).json()["id"]
        until(client, job_id, "running", durable=1)
        pid = holder(job_id)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while (again := holder(job_id)) in (0, pid):  # another process holds its ledger
            assert time.monotonic() < deadline
            time.sleep(0.1)
        client.post(f"/v1/jobs/{job_id}/pause")
        paused = until(client, job_id, "paused")
        assert again != pid
    with TestClient(create_app(settings())) as client:
        time.sleep(1)
        assert until(client, job_id, "paused") == paused
        assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
        refused = client.post(f"/v1/jobs/{job_id}/resume")
        assert refused.status_code == 409
        assert "submitted again, it goes on" in refused.json()["error"]


def holder(job_id: str) -> int:
    """Process that holds the job's ledger; 0 where none does."""
    inode = (Path(settings().corpus) / "ledger" / job_id / "lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    return 0


@pytest.mark.ray
def test_a_job_that_was_running_when_the_service_ended_is_finished_by_the_next_one() -> None:
    from tracemill.pipelines import recipe as recipes
    from tracemill.pipelines.jobs import JobStore
    from tracemill.pipelines.plan import make_plan

    recipe = recipes.parse({**RECIPE_EXAMPLE, "name": "left"})
    store = JobStore(settings().jobs_url)
    job_id = make_plan(recipe).job_id
    store.submit(job_id, recipe, "service")
    assert store.start(job_id, recipe, "service", str(settings().corpus))
    with TestClient(create_app(settings())) as client:
        assert finished(client, job_id)["job"]["state"] == "finished"
