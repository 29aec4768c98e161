"""Jobs of the service, without its cluster: what the actor writes, and what a recipe from outside may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError, SetupError
from tracemill.core.settings import settings
from tracemill.corpus.ledger import Ledger, is_running
from tracemill.corpus.store import Corpus
from tracemill.factory import cluster
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines import running
from tracemill.pipelines.admission import admitted
from tracemill.pipelines.jobs import Job, JobState, JobStore, Order
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.policy import policy_of
from tracemill.pipelines.recipe import Recipe
from tracemill.pipelines.service import JobRunner, job_funnel, order, resume_unfinished, stored_plan, submit


def recipe_of(path: Path, **parts: Any) -> Recipe:
    source = {"source": "jsonl", "path": str(path)}
    generate = {"engine": "fake", "samples": 2, **parts.pop("generate", {})}
    return recipes.parse({"name": "sums", "prompts": [source], "generate": generate, **parts})


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{k} + {k}?", "answer": str(2 * k)}) + "\n" for k in range(6)))
    return path


GENERATED = {"name": "sums", "prompts": [{"source": "reasoning_gym", "task": "chain_sum", "count": 2}]}


async def run(recipe: Recipe) -> tuple[JobStore, Job]:
    store, job_id = JobStore(settings().jobs_url), make_plan(recipe).job_id
    store.submit(job_id, recipe, "service")
    await JobRunner().run(job_id, settings())
    job = store.get(job_id)
    assert job is not None
    return store, job


async def test_a_job_ends_finished_with_its_progress_and_funnel(questions: Path) -> None:
    _, job = await run(recipe_of(questions))
    assert (job.state, job.error) == (JobState.FINISHED, None)
    assert (job.progress["durable"], job.progress["new"]) == (12, 12)
    funnel = job_funnel(job, Corpus.open(settings().corpus))
    assert funnel.generated == 12
    assert funnel.kept == funnel.sifted > 0


async def test_a_job_whose_model_has_changed_or_gone_says_so(questions: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"1")
    recipe = recipe_of(questions, generate={"engine": "transformers", "model": str(model)})
    store, job_id = JobStore(settings().jobs_url), make_plan(recipe).job_id
    job, _ = store.submit(job_id, recipe, "service")
    assert stored_plan(job).job_id == job_id
    (model / "model.safetensors").write_bytes(b"2")
    await JobRunner().run(job_id, settings())
    told = f"what the prompt files hold or the model in {model} has changed since the job was submitted"
    assert str((store.get(job_id) or job).error).startswith(told)
    generated = recipe.model_copy(update={"prompts": recipes.parse(GENERATED).prompts})
    job, _ = store.submit(make_plan(generated).job_id, generated, "service")
    (model / "model.safetensors").write_bytes(b"3")
    with pytest.raises(InputError, match=f"^the model in {model} has changed since"):
        stored_plan(job)
    model.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=f"^there is no model in {model} any more"):
        stored_plan(job)


async def test_a_job_that_keeps_nothing_has_a_funnel_that_says_so(questions: Path) -> None:
    _, job = await run(recipe_of(questions, filters=[{"length": {"min_words": 1000}}]))
    funnel = job_funnel(job, Corpus.open(settings().corpus))
    assert (job.state, funnel.kept, funnel.fell("filter")) == (JobState.FINISHED, 0, funnel.correct)


async def test_a_job_whose_file_is_gone_or_changed_fails_and_says_why(questions: Path) -> None:
    recipe = recipe_of(questions)
    store, job_id = JobStore(settings().jobs_url), make_plan(recipe).job_id
    for text, reason in (
        ("", "the sources hold no prompt"),
        ('{"prompt": "?", "answer": "1"}\n', "what the prompt files hold has changed"),
    ):
        questions.write_text(text)
        store.submit(job_id, recipe, "service")
        await JobRunner().run(job_id, settings())
        job = store.get(job_id)
        assert job is not None
        assert job.state is JobState.FAILED
        assert reason in (job.error or "")


async def test_a_job_that_another_process_runs_keeps_that_ones_state(
    questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LEAVING_S", 0.2)
    recipe = recipe_of(questions)
    job_id = make_plan(recipe).job_id
    with Ledger.open(Corpus.open(settings().corpus), job_id):
        assert is_running(settings().corpus, job_id)
        _, job = await run(recipe)
        assert job.state is JobState.QUEUED, "the state is the other's to change"
    assert not is_running(settings().corpus, job_id)


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED])
async def test_an_actor_that_comes_late_does_not_run_a_job_that_was_stopped(questions: Path, state: JobState) -> None:
    recipe = recipe_of(questions)
    store, job_id = JobStore(settings().jobs_url), make_plan(recipe).job_id
    store.submit(job_id, recipe, "service")
    store.move(job_id, [JobState.QUEUED], state)
    await JobRunner().run(job_id, settings())
    job = store.get(job_id)
    assert job is not None
    assert job.state is state
    assert Corpus.open(settings().corpus).rows("SELECT 1 FROM traces", {}) == []


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the jobs that were handed to the cluster, which is not there."""
    ids: list[str] = []

    def start(name: str, kind: type, method: str, job_id: str, *arguments: Any, **options: Any) -> None:
        ids.append(job_id)

    monkeypatch.setattr(cluster, "start_detached", start)
    return ids


def test_a_service_that_starts_takes_up_what_was_running_and_nothing_that_was_stopped(
    questions: Path, started: list[str]
) -> None:
    store, ids = JobStore(settings().jobs_url), {}
    for samples, state in enumerate(JobState, 1):
        recipe = recipe_of(questions, generate={"samples": samples})
        ids[state] = make_plan(recipe).job_id
        store.submit(ids[state], recipe, "service")
        if state is not JobState.QUEUED:
            store.start(ids[state], recipe, "service", str(settings().corpus))
        if state not in (JobState.QUEUED, JobState.RUNNING):
            store.end(ids[state], state)
    resume_unfinished(settings(), store)
    assert sorted(started) == sorted([ids[JobState.QUEUED], ids[JobState.RUNNING]])


def test_an_order_starts_a_runner_once_and_a_cluster_that_is_away_fails_the_job(
    questions: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(questions)
    store, job_id = JobStore(settings().jobs_url), make_plan(recipe).job_id
    store.submit(job_id, recipe, "service")
    assert order(Order.PAUSE, job_id, settings(), store).state is JobState.PAUSED
    assert started == []
    assert order(Order.RESUME, job_id, settings(), store).state is JobState.QUEUED
    assert order(Order.RESUME, job_id, settings(), store).state is JobState.QUEUED
    assert started == [job_id]

    def away(*arguments: Any, **options: Any) -> None:
        raise SetupError("cannot join the Ray cluster")

    monkeypatch.setattr(cluster, "start_detached", away)
    order(Order.PAUSE, job_id, settings(), store)
    with pytest.raises(SetupError, match="cannot join"):
        order(Order.HARVEST, job_id, settings(), store)
    job = store.get(job_id)
    assert job is not None
    assert (job.state, job.error) == (JobState.FAILED, "cannot join the Ray cluster")


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("/etc/passwd", {}, r"prompts\[0\]\.path: /etc/passwd is not in .* \(TRACEMILL_PROMPTS\)"),
        ("../secret.jsonl", {}, r"prompts\[0\]\.path: \.\./secret\.jsonl is not in "),
        ("sums.jsonl", {"worker_cls": "os.system"}, r"generate\.engine_options\.worker_cls: not over REST"),
    ],
)
def test_a_recipe_from_outside_reads_its_folder_only_and_runs_no_code(
    questions: Path, monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv("TRACEMILL_PROMPTS", str(questions.parent))
    store = JobStore(settings().jobs_url)
    with pytest.raises(InputError, match=message):
        submit(recipe_of(Path(path), generate={"engine_options": options}), settings(), store)
    with pytest.raises(InputError, match=message.replace("generate", "judge")):
        submit(recipe_of(Path(path), judge={"engine": "fake", "engine_options": options}), settings(), store)
    assert store.list() == []


def test_a_recipe_from_outside_is_compared_with_files_of_its_folder_only(
    questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEMILL_PROMPTS", str(questions.parent))
    for path in ("/etc/passwd", "../secret.jsonl"):
        recipe = recipe_of(questions, filters=[{"contamination": {"against": [path]}}])
        with pytest.raises(InputError, match=r"^filters\[0\]\.against: .* is not in .* \(TRACEMILL_PROMPTS\)$"):
            admitted(recipe, settings())
    recipe = recipe_of(questions, filters=[{"contamination": {"against": [questions.name]}}])
    assert admitted(recipe, settings()).filters[0].options == {"against": [str(questions.resolve())]}
    with pytest.raises(InputError, match=r"^filters\[0\]\.against: a list of files is wanted$"):
        admitted(recipe_of(questions, filters=[{"contamination": {"against": questions.name}}]), settings())


def test_drops_are_filed_under_what_the_benchmark_held(questions: Path) -> None:
    recipe = recipe_of(questions, filters=[{"contamination": {"against": [str(questions)]}}])
    before = policy_of(recipe.filters).id
    assert policy_of(recipe.filters).id == before
    questions.write_text(questions.read_text() + questions.read_text())
    assert policy_of(recipe.filters).id != before


def test_a_recipe_from_outside_does_not_choose_the_sandbox(questions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEMILL_PROMPTS", str(questions.parent))
    weak = recipe_of(questions, verify={"also": ["format", "code"], "options": {"code": {"tier": 3}}})
    with pytest.raises(InputError, match=r"^verify\.options\.code\.tier: not over REST"):
        submit(weak, settings(), JobStore(settings().jobs_url))
