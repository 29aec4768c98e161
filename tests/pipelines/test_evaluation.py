"""Evaluations through the pipeline: figures of known samples, what is stored, what is refused, two compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError, NotFound
from tracemill.core.settings import settings
from tracemill.core.types import Outcome, Verdict
from tracemill.corpus import tables
from tracemill.corpus.store import Corpus
from tracemill.pipelines import orders
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.comparison import compare, find_evaluation, stored_evaluations
from tracemill.pipelines.evaluation import Evaluation, assess, evaluate, evaluation_recipe
from tracemill.pipelines.jobs import Job, JobStore, newest_job
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.runner import Watch, run_job
from tracemill.pipelines.running import run_stored
from tracemill.pipelines.service import job_funnel
from tracemill.pipelines.trained_on import Trained

RIGHT, WRONG, NONE = "<think>\nx\n</think>\n\\boxed{%s}", "<think>\nx\n</think>\n\\boxed{999}", "<think>\nno idea"


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus.open(tmp_path / "corpus")


def replayed(tmp_path: Path, name: str, prompts: Sequence[Sequence[str]], **more: object) -> Plan:
    """An evaluation whose samples are these: of prompt number k, whose answer is k."""
    path = tmp_path / f"{name}.jsonl"
    rows = [
        {"question": f"What is 0 + {k}?", "answer": str(k), "text": text % k if "%s" in text else text}
        for k, texts in enumerate(prompts, 1)
        for text in texts
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"text": "question", "reference": "answer", "completion": "text"}
    source = {"source": "recording", "path": str(path), "columns": columns, "verifier": "math"}
    generate = {"engine": "replay", "thinking": "native", "samples": max(map(len, prompts))}
    return plan_of({"name": name, "prompts": [source], "generate": generate, **more})


def plan_of(recipe: dict[str, Any]) -> Plan:
    return make_plan(evaluation_recipe(recipes.parse(recipe)))


def faked(tmp_path: Path, name: str, count: int = 6, first: int = 0, samples: int = 2, **generate: object) -> Any:
    path = tmp_path / f"{name}.jsonl"
    rows = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(first, first + count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    generate = {"engine": "fake", "samples": samples, **generate}
    return {"name": name, "prompts": [{"source": "jsonl", "path": str(path)}], "generate": generate}


def values(found: Evaluation) -> dict[str, float]:
    return {one.figure: one.value for one in found.figures if not one.domain}


async def test_figures_of_known_samples(tmp_path: Path) -> None:
    plan = replayed(tmp_path, "known", [[RIGHT, RIGHT, RIGHT, WRONG], [WRONG, RIGHT, WRONG, NONE]])
    found = await evaluate(plan, settings(), Watch())
    said = values(found)
    assert said["pass@1"] == pytest.approx((0.75 + 0.25) / 2)
    assert said["pass@2"] == pytest.approx((1 + 0.5) / 2)
    assert said["pass@4"] == 1
    assert said["majority@4"] == 0.5  # three of four are right, two of three votes are for 999
    assert said["format"] == pytest.approx((1 + 0.75) / 2)
    assert (said["undecided"], said["missing"], said["cut_off"]) == (0, 0, 0)
    first = found.figure("pass@1")
    assert (first.k, first.prompts, first.samples) == (1, 2, 8)
    assert first.low is not None
    assert first.high is not None
    assert first.low < 0.5 < first.high
    assert found.figure("pass@1", "math").value == first.value
    assert found.line().startswith("known: pass@1 50.0% (")
    with pytest.raises(NotFound, match="pass@3"):
        found.figure("pass@3")


async def test_answers_that_tie_share_their_value(tmp_path: Path) -> None:
    found = await evaluate(replayed(tmp_path, "tie", [[RIGHT, WRONG], [RIGHT, RIGHT]]), settings(), Watch())
    assert found.figure("majority@2").value == 0.75


async def test_undecided_samples_are_left_out_and_counted(tmp_path: Path, corpus: Corpus) -> None:
    plan = replayed(tmp_path, "unsure", [[RIGHT, WRONG], [RIGHT, RIGHT]])
    await evaluate(plan, settings(), Watch())
    (row,) = corpus.rows("SELECT trace_id FROM metrics WHERE job_id = $job AND outcome = 'wrong'", {"job": plan.job_id})
    verdict = Verdict(row["trace_id"], "math", "9", Outcome.UNDECIDED, None, "time_limit")
    corpus.add_verdicts("test", [verdict], tables.now() + 1)
    found = assess(plan, corpus)
    assert found.figure("pass@1").value == 1
    assert found.figure("pass@1").samples == 3
    assert found.figure("pass@2").prompts == 1
    assert found.figure("undecided").value == 0.25


async def test_nothing_is_sifted_or_selected(tmp_path: Path, corpus: Corpus) -> None:
    recipe = faked(tmp_path, "plain") | {"filters": ["exact_duplicates"], "select": {"per_prompt": 1}}
    plan = plan_of(recipe)
    stages: list[str] = []
    result = await run_job(plan, settings(), Watch(on_stage=stages.append))
    assert stages == ["checking", "loading", "generating"]
    assert (result.dataset.version, result.funnel.kept, result.funnel.generated) == (0, None, 12)
    for table in ("datasets", "every_drop", "anatomy"):
        assert corpus.rows(f"SELECT count(*) AS n FROM {table}", {}) == [{"n": 0}]


async def test_an_evaluation_leaves_the_run_of_its_recipe_as_it_was(tmp_path: Path) -> None:
    recipe = recipes.parse(faked(tmp_path, "both") | {"select": {"per_prompt": 1}})
    here, store = settings(), JobStore(settings().jobs_url)

    async def done(plan: Plan) -> Job:
        orders.submit(plan.job_id, plan.recipe, "command", here, store)
        await run_stored(plan, here, Watch(), store, "command")
        return newest_job("both", store)

    before = await done(make_plan(recipe))
    kept = job_funnel(before, Corpus.open(here.corpus)).kept
    assert (before.recipe["purpose"], before.progress["kept"]) == ("data", kept)
    assert kept is not None
    after = await done(plan_of(faked(tmp_path, "both") | {"select": {"per_prompt": 1}}))
    assert after == before
    assert job_funnel(after, Corpus.open(here.corpus)).kept == kept
    assert sorted(one.recipe["purpose"] for one in store.list()) == ["data", "evaluation"]


async def test_evaluated_again_nothing_new_is_written(tmp_path: Path, corpus: Corpus) -> None:
    plan = plan_of(faked(tmp_path, "twice"))
    one = await evaluate(plan, settings(), Watch())
    rows = corpus.rows("SELECT * FROM evaluations ORDER BY ALL", {})
    assert {row["figure"] for row in rows} == set(one.names())
    assert await evaluate(plan, settings(), Watch()) == one
    assert corpus.rows("SELECT * FROM evaluations ORDER BY ALL", {}) == rows
    (stored,) = stored_evaluations(corpus)
    assert (stored.job_id, stored.model, stored.pass_1) == (plan.job_id, "fake", one.figure("pass@1"))


async def test_a_figure_that_is_no_more_is_told_as_null(tmp_path: Path, corpus: Corpus) -> None:
    plan = replayed(tmp_path, "gone", [[RIGHT, RIGHT]])
    await evaluate(plan, settings(), Watch())
    traces = corpus.rows("SELECT id FROM traces", {})
    unsure = [Verdict(row["id"], "math", "9", Outcome.UNDECIDED, None, "time_limit") for row in traces]
    corpus.add_verdicts("test", unsure, tables.now() + 1)
    found = assess(plan, corpus)
    assert "pass@1" not in found.names()
    assert found.line() == "gone: no sample could be judged"
    latest = "SELECT value FROM latest_evaluations WHERE figure = 'pass@1' AND domain = ''"
    assert corpus.rows(latest, {}) == [{"value": None}]
    assert stored_evaluations(corpus)[0].pass_1 is None
    before = corpus.rows("SELECT count(*) AS n FROM evaluations", {})
    assess(plan, corpus)
    assert corpus.rows("SELECT count(*) AS n FROM evaluations", {}) == before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"generate": {"engine": "fake", "strategy": {"adaptive": {}}}}, "generate.strategy"),
        ({"generate": {"engine": "fake", "retry": [{"samples": 1, "temperature": 1}]}}, "generate.retry"),
        ({"generate": {"engine": "fake", "mix": [{"engine": "fake", "model": "b"}]}}, "generate.mix"),
        ({"verify": {"majority": {}}}, "verify.majority"),
    ],
)
def test_what_would_bend_the_figures_is_refused(tmp_path: Path, more: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}"):
        plan_of(faked(tmp_path, "bent") | more)


def test_what_is_given_stands_in_place_of_the_recipes(tmp_path: Path) -> None:
    recipe = recipes.parse(faked(tmp_path, "given"))
    generate = evaluation_recipe(recipe, model="b", samples=3, temperature=0.1).generate
    assert (generate.model, generate.samples, generate.temperature) == ("b", 3, 0.1)
    with pytest.raises(InputError, match=r"generate\.samples"):
        evaluation_recipe(recipe, samples=0)
    with pytest.raises(InputError, match="--model"):
        evaluation_recipe(replayed(tmp_path, "replay", [[RIGHT]]).recipe, model="b")


async def test_two_are_compared_prompt_by_prompt(tmp_path: Path, corpus: Corpus) -> None:
    better = replayed(tmp_path, "better", [[RIGHT, RIGHT], [RIGHT, WRONG], [RIGHT, WRONG]])
    worse = replayed(tmp_path, "worse", [[RIGHT, WRONG], [WRONG, WRONG], [RIGHT, WRONG]])
    for plan in (worse, better):
        await evaluate(plan, settings(), Watch())
    other = find_evaluation(corpus, "worse", but=better.job_id)
    assert other.job_id == worse.job_id == find_evaluation(corpus, worse.job_id[:6]).job_id
    (first,) = (one for one in compare(better, corpus, other.job_id) if (one.figure, one.domain) == ("pass@1", ""))
    assert first.value == pytest.approx(1 / 3)
    assert first.prompts == 3
    assert first.low is not None
    assert first.low < 0
    with pytest.raises(NotFound, match="better"):
        find_evaluation(corpus, "bettr")
    strange = plan_of(faked(tmp_path, "strange"))
    await evaluate(strange, settings(), Watch())
    with pytest.raises(InputError, match="was asked 6 prompts"):
        compare(better, corpus, strange.job_id)


async def test_a_model_that_saw_the_prompts_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    await run_job(make_plan(recipes.parse(faked(tmp_path, "seen", 12, samples=8))), settings(), Watch())
    held_out = plan_of(faked(tmp_path, "fresh", 6, first=12))
    assert (await evaluate(held_out, settings(), Watch(), [Trained("seen")])).figure("contaminated").value == 0
    plan = plan_of(faked(tmp_path, "half", 12, first=6))
    with pytest.raises(InputError, match=r"6 of the 12 prompts \(6 in seen@1; .*hold_out.*--allow-contamination"):
        await evaluate(plan, settings(), Watch(), [Trained("seen")])
    assert corpus.rows("SELECT count(*) AS n FROM traces WHERE job_id = $job", {"job": plan.job_id}) == [{"n": 0}]
    found = await evaluate(plan, settings(), Watch(), [Trained("seen")], allow_contamination=True)
    assert found.figure("contaminated").value == 0.5
    assert "contaminated" not in (await evaluate(plan, settings(), Watch())).names()  # nobody says what it has seen


async def test_data_that_is_not_here_cannot_be_looked_at(tmp_path: Path) -> None:
    plan = plan_of(faked(tmp_path, "blind"))
    with pytest.raises(NotFound, match="cannot be looked at"):
        await evaluate(plan, settings(), Watch(), [Trained("elsewhere", 3)])
    found = await evaluate(plan, settings(), Watch(), [Trained("elsewhere", 3)], allow_contamination=True)
    assert "contaminated" not in found.names()
