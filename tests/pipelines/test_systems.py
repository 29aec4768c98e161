"""The recipes of published systems: each runs to its end at toy size, goes on where it stopped, and is valid at full size."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import Plan
from tracemill.pipelines.runner import Result, Watch
from tracemill.pipelines.running import run_stored
from tracemill.pipelines.stage_checks import check
from tracemill.pipelines.stages import Made, StageSection, StagesRecipe, at_full_size
from tracemill.pipelines.staging import Doing, run_stages
from tracemill.pipelines.train_section import TrainSection
from tracemill.pipelines.training import Watch as TrainingWatch
from tracemill.trainers.presets import options_of

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
SYSTEMS = ("r1_zero", "r1", "r1_distill", "star", "tiny_zero", "sky_t1", "s1")
WINDOWS = {
    "Qwen/Qwen2.5-1.5B": 32_768, "Qwen/Qwen2.5-7B-Instruct": 32_768, "EleutherAI/gpt-j-6b": 2_048,
}  # fmt: skip
"""Tokens that the models of the full sizes take, by their cards."""
STOPS_AT = 3
"""The stage that the first run does not come to."""

SIGNS = {
    "r1": ("SELECT count(*) AS found FROM training WHERE figure = 'rewards/preference' AND isfinite(value)",),
    "star": ("SELECT count(*) AS found FROM traces t JOIN prompts p ON p.id = t.prompt_id WHERE t.sample >= 8",),
    "s1": ("SELECT count(*) AS found FROM traces WHERE len(interventions) > 0",),
}
"""What only the system's own way leaves behind: preferences, second tries with a hint, chains that were made to go on."""


class Interrupted(Exception):
    """What stops the first run."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on cores that others use take many times as long as one."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def doing(here: Settings, stops_at: int | None = None) -> Doing:
    def job(plan: Plan, store: JobStore) -> Result:
        result = asyncio.run(run_stored(plan, here, Watch(), store, "command")).result
        assert result is not None
        return result

    def on_stage(stage: StageSection, number: int, count: int) -> None:
        if number == stops_at:
            raise Interrupted(stage.name)

    return Doing(job, lambda: nullcontext(TrainingWatch()), on_stage)


def kept_of(corpus: Corpus, made: Made) -> int:
    assert made.dataset is not None
    name, _, version = made.dataset.partition("@")
    sql = "SELECT count(*) AS rows FROM datasets WHERE name = $name AND version = $version"
    return int(corpus.rows(sql, {"name": name, "version": int(version)})[0]["rows"])


def rows_of(corpus: Corpus) -> dict[str, int]:
    tables = ("traces", "verdicts", "drops", "datasets", "runs", "training", "evaluations")
    return {table: corpus.rows(f"SELECT count(*) AS rows FROM {table}", {})[0]["rows"] for table in tables}


def card_of(made: Made) -> dict[str, object]:
    assert made.model is not None
    found: dict[str, object] = json.loads((Path(made.model) / "tracemill.json").read_text())
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_runs_to_its_end_and_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    here = Settings(
        corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db", models=tmp_path / "models",
        cache=tmp_path / "cache",
    )  # fmt: skip
    pipeline = recipes.loaded(name, StagesRecipe)

    with pytest.raises(Interrupted, match=pipeline.stages[STOPS_AT - 1].name):
        run_stages(pipeline, here, doing(here, STOPS_AT))
    before = {path.name: path.stat().st_mtime_ns for path in here.models.iterdir()}
    traces = rows_of(Corpus.open(here.corpus))["traces"]
    assert traces > 0

    made = run_stages(pipeline, here, doing(here))
    assert [one.stage for one in made] == [stage.name for stage in pipeline.stages]
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in here.models.iterdir()}.items()
    corpus = Corpus.open(here.corpus)
    sees_what_each_made(pipeline, {one.stage: one for one in made}, corpus)

    for sql in SIGNS.get(name, ()):
        assert corpus.rows(sql, {})[0]["found"] > 0, sql

    rows = rows_of(corpus)
    again = run_stages(pipeline, here, doing(here))
    assert [(one.model, one.dataset, one.evaluation) for one in again] == [
        (one.model, one.dataset, one.evaluation) for one in made
    ]
    assert rows_of(Corpus.open(here.corpus)) == rows
    assert not list(here.models.glob(".*"))


def sees_what_each_made(pipeline: StagesRecipe, made: dict[str, Made], corpus: Corpus) -> None:
    for stage in pipeline.stages:
        one = made[stage.name]
        if stage.kind == "run":
            assert kept_of(corpus, one) > 0
        elif stage.kind == "train":
            assert stage.train is not None
            remembers_its_data(stage.train, one, made)
        elif stage.kind == "evaluate":
            assert one.evaluation is not None
            seen = one.evaluation.figure("contaminated")
            assert (seen.value, seen.prompts) == (0.0, one.evaluation.figure("format").prompts)
            assert one.evaluation.figure("format").samples == 2 * seen.prompts > 0
            assert 0 <= one.evaluation.figure("pass@1").value <= 1
    assert pipeline.stages[-1].kind == "evaluate"


def remembers_its_data(section: dict[str, object], one: Made, made: dict[str, Made]) -> None:
    """Its card names its own data, and before it that of the models that it was made with."""
    card, base = card_of(one), made[str(section["model"])]
    data = section.get("data", [])
    assert isinstance(data, Sequence)
    named = [made[of if isinstance(of, str) else of["of"]].dataset for of in data]
    assert isinstance(card["data"], list)
    assert [f"{each['dataset']}@{each['version']}" for each in card["data"] if "dataset" in each] == named
    asked = [each for each in card["data"] if "questions" in each]
    assert len(asked) == ("prompts" in section)
    for each in asked:  # what it was asked stands in no data set, so it lies beside the model
        assert one.model is not None
        assert len((Path(one.model) / each["questions"]).read_text().splitlines()) == each["rows"]
    assert card["base"] == base.model
    method = section["method"]
    options = method.get("grpo", {}) if isinstance(method, dict) else {}
    models = [base, *(made[options[name]] for name in ("preference",) if name in options)]
    wanted: list[object] = []
    for data in (*(card_of(model)["trained_on"] for model in models if model.kind != "scratch"), card["data"]):
        assert isinstance(data, list)
        wanted += [each for each in data if each not in wanted]
    assert card["trained_on"] == wanted


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_full_size_is_valid_to_the_last_option(name: str) -> None:
    pipeline = at_full_size(recipes.loaded(name, StagesRecipe))
    check(pipeline)
    assert pipeline.stages[-1].kind == "evaluate"
    assert not {"scratch"} & {stage.kind for stage in pipeline.stages}
    for stage in pipeline.stages:
        for section in (stage.run, stage.evaluate):
            assert section is None or section["generate"].get("engine", "vllm") in ("vllm", "openai")
        if stage.train is not None:
            train = TrainSection.model_validate(stage.train)
            options = options_of(train.method.name, train.method.options, 1_500_000_000, stage.name)
            assert "preset" in train.method.options
            assert train.cluster is not None
            assert options.batch % (train.cluster.workers * min(options.per_device, options.batch)) == 0
            (base,) = [WINDOWS[one.model] for one in pipeline.stages if one.model is not None]
            assert getattr(options, "max_tokens", 0) + 1000 <= base, "room for the question"
