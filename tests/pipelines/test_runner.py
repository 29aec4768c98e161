"""A whole job with the fake engine over a real corpus: prompts to funnel, and again under another policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.report import cost_line, funnel_lines, trace_lines
from tracemill.pipelines.runner import Result, Watch, run_job

Sums = Callable[..., Plan]


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db")


async def run(plan: Plan, here: Settings) -> tuple[Result, list[str]]:
    stages: list[str] = []
    result = await run_job(plan, here, Watch(on_stage=stages.append))
    return result, stages


async def test_a_job_ends_in_a_data_set_and_a_funnel_that_adds_up(sums: Sums, here: Settings) -> None:
    result, stages = await run(sums(), here)
    assert stages == ["checking", "loading", "generating", "sifting", "selecting"]
    funnel = result.funnel
    assert funnel.generated == 200 == funnel.well_formed + funnel.fell("format")
    assert funnel.well_formed == funnel.correct + funnel.fell("verify")
    assert funnel.correct == funnel.sifted + funnel.fell("filter")
    assert funnel.kept == result.dataset.rows == funnel.sifted > 20
    assert funnel.fell("filter") > 0, "the fake engine repeats itself, so exact duplicates fall"
    shown = "\n".join(funnel_lines(funnel))
    for label in ("generated", "well-formed", "correct", "passed filters", "kept", "no_close_tag", "duplicate"):
        assert label in shown
    assert f"{funnel.completion_tokens:,} tokens generated" in cost_line(funnel)


async def test_running_it_again_makes_nothing_and_changes_nothing(sums: Sums, here: Settings) -> None:
    first, _ = await run(sums(), here)
    again, stages = await run(sums(), here)
    assert stages == ["sifting", "selecting"], "no engine is loaded"
    assert again.progress is None
    assert again.funnel == first.funnel
    assert (again.dataset.version, again.dataset.is_new) == (first.dataset.version, False)


async def test_another_policy_sifts_the_stored_traces_without_generating(sums: Sums, here: Settings) -> None:
    first, _ = await run(sums(), here)
    strict = sums().recipe.model_copy(
        update={"filters": (), "select": sums().recipe.select.model_copy(update={"per_prompt": 1})}
    )
    second, stages = await run(make_plan(strict), here)
    assert "generating" not in stages
    assert second.funnel.sifted == second.funnel.correct == first.funnel.correct
    assert second.dataset.version == first.dataset.version + 1
    assert second.dataset.rows == second.funnel.prompts - prompts_without_correct(here, second.job_id)


def prompts_without_correct(here: Settings, job_id: str) -> int:
    rows = Corpus.open(here.corpus).rows(
        "SELECT count(*) AS n FROM (SELECT prompt_id FROM metrics WHERE job_id = $job GROUP BY 1 HAVING NOT bool_or(correct))",
        {"job": job_id},
    )
    return int(rows[0]["n"])


async def test_kept_and_rejected_traces_can_be_read_in_full(sums: Sums, here: Settings) -> None:
    result, _ = await run(sums(), here)
    corpus = Corpus.open(here.corpus)
    text = "\n".join(trace_lines(corpus, result.dataset, kept=2, rejected=3))
    assert text.count("── kept trace") == 2
    assert text.count("── rejected trace") == 3
    assert "math: correct" in text
    assert "question   What is" in text
