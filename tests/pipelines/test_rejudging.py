"""Verdicts that could not be made when their traces were: by a judge that died, and against a label that came later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import EngineError, InputError
from tracemill.core.settings import Settings
from tracemill.core.types import Request
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.pipelines import engines
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import compares_texts
from tracemill.pipelines.generate_section import RetrySection
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.rejudging import Unsettled, settle, unsettled
from tracemill.pipelines.runner import Result, Watch, run_job
from tracemill.verifiers.judge import Judge

MIXED = [{"prompt": f"What is {k} + {3 * k}?", "answer": "8" if k == 2 else None} for k in range(1, 13)]


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Plan]:
    def build(
        also: Sequence[str] = ("format", "judge"), votes: int | None = 3, rows: Any = MIXED, **source: Any
    ) -> Plan:
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        verify = {"also": list(also)} | ({} if votes is None else {"majority": {"min_votes": votes}})
        data = {
            "name": "again", "prompts": [{"source": "jsonl", "path": str(path), **source}], "verify": verify,
            "generate": {"engine": "fake", "samples": 16, "concurrency": 32}, "filters": [],
        }  # fmt: skip
        if "judge" in (*also, source.get("verifier")):
            data["judge"] = {"engine": "fake", "concurrency": 8}
        return make_plan(recipes.parse(data))

    return build


async def run(plan: Plan, here: Settings) -> tuple[Result, list[str]]:
    stages: list[str] = []
    return await run_job(plan, here, Watch(on_stage=stages.append)), stages


def judges_die_after(monkeypatch: pytest.MonkeyPatch, number: int | None) -> None:
    """What makes samples lives on."""

    def build(script: Callable[[Request], str] | None = None) -> FakeEngine:
        return FakeEngine() if script is None else FakeEngine(script=script, dies_after=number)

    monkeypatch.setattr(engines, "FakeEngine", build)


def latest(here: Settings, verifier: str = "judge") -> list[tuple[str, str, str | None]]:
    sql = "SELECT outcome, reason, label FROM latest_verdicts WHERE verifier = $verifier ORDER BY trace_id"
    rows = Corpus.open(here.corpus).rows(sql, {"verifier": verifier})
    return [(row["outcome"], row["reason"].partition(":")[0], row["label"]) for row in rows]


async def test_a_second_verifier_judges_against_the_label_too(make: Callable[..., Plan], here: Settings) -> None:
    alone, _ = await run(make(also=("format",)), here)
    assert alone.funnel.correct > 80
    both, stages = await run(make(), here)
    assert stages == ["checking", "loading", "generating", "labelling", "judging", "sifting", "selecting"]
    reasons = {part.reason for part in both.funnel.fallen}
    assert not any("no_reference" in reason for reason in reasons), reasons
    assert both.funnel.kept == both.funnel.correct > 80
    rows = Corpus.open(here.corpus).rows(
        "SELECT v.label = own.label AS same, v.label_source, own.outcome = v.outcome AS agree, count(*) AS n"
        " FROM latest_verdicts v JOIN traces t ON t.id = v.trace_id JOIN prompts p ON p.id = t.prompt_id"
        " JOIN latest_verdicts own ON own.trace_id = t.id AND own.verifier = p.verifier"
        " WHERE v.verifier = 'judge' AND p.reference = '' AND own.outcome <> 'unparsed' GROUP BY ALL",
        {},
    )
    assert len(rows) == 1, "the fake judge compares texts, and all answers are whole numbers"
    assert rows[0] == {"same": True, "label_source": "majority", "agree": True, "n": rows[0]["n"]}


async def test_what_is_settled_is_not_asked_again_and_another_label_is(
    make: Callable[..., Plan], here: Settings
) -> None:
    first, _ = await run(make(), here)
    again, stages = await run(make(), here)
    assert stages == ["labelling", "sifting", "selecting"], "no judge is opened"
    assert again.funnel == first.funnel
    strict, stages = await run(make(votes=16), here)
    assert "judging" in stages
    assert "generating" not in stages
    assert strict.labelled is not None
    assert strict.labelled.labelled == 0
    assert {label for _, reason, label in latest(here) if reason == "no_majority"} == {None}
    assert sum(reason == "no_majority" for _, reason, _ in latest(here)) == 16 * 11, "one prompt has gold"
    assert 0 < strict.funnel.correct <= 16
    back, stages = await run(make(), here)
    assert "judging" in stages
    assert back.funnel == first.funnel


async def test_a_judge_that_died_is_asked_again_without_generating(
    make: Callable[..., Plan], here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(1, 13)]
    plan = make(rows=gold, verifier="judge", also=("format",), votes=None)
    judges_die_after(monkeypatch, 31)
    with pytest.raises(EngineError, match="the fake engine died after 31"):
        await run(plan, here)
    failed = sum(reason == "judge_failed" for _, reason, _ in latest(here))
    assert 0 < failed < len(latest(here)) == len(latest(here, "format")) <= 192
    judges_die_after(monkeypatch, None)
    done, _ = await run(plan, here)
    assert len(latest(here)) == done.funnel.generated == 192
    assert {reason for _, reason, _ in latest(here)} == {"judged_correct", "judged_incorrect", "no_answer"}
    _, stages = await run(plan, here)
    assert stages == ["sifting", "selecting"]


async def test_a_judge_that_died_makes_nothing_be_drawn_in_its_place(
    make: Callable[..., Plan], here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(1, 13)]
    plan = make(rows=gold, verifier="judge", also=("format",), votes=None)
    section = plan.recipe.generate.model_copy(
        update={"samples": 1, "retry": (RetrySection(samples=2, temperature=1.0),)}
    )
    plan = make_plan(plan.recipe.model_copy(update={"generate": section}))
    whole, _ = await run(plan, here.model_copy(update={"corpus": tmp_path / "whole"}))
    assert 12 < whole.funnel.generated < 36
    judges_die_after(monkeypatch, 5)
    with pytest.raises(EngineError):
        await run(plan, here)
    judges_die_after(monkeypatch, None)
    done, _ = await run(plan, here)
    assert done.funnel == whole.funnel


async def test_a_judge_that_dies_over_labels_keeps_what_it_said(
    make: Callable[..., Plan], here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges_die_after(monkeypatch, 80)
    with pytest.raises(EngineError, match="the fake engine died after 80"):
        await run(make(), here)
    judged = sum(label is not None for _, _, label in latest(here))
    left = unsettled(Corpus.open(here.corpus), make())
    assert left == Unsettled(16 * 11 - judged, 16 * 11 - judged)
    assert judged > 0
    judges_die_after(monkeypatch, None)
    done, stages = await run(make(), here)
    assert stages == ["labelling", "loading", "judging", "sifting", "selecting"]
    assert not any("no_reference" in part.reason or "judge_failed" in part.reason for part in done.funnel.fallen)
    assert unsettled(Corpus.open(here.corpus), make()) == Unsettled(0, 0)


async def test_once_stopped_the_rest_is_left(
    make: Callable[..., Plan], here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges_die_after(monkeypatch, 1)  # after the request that asks whether it is ready
    plan = make(rows=[row for row in MIXED if row["answer"] is None])
    with pytest.raises(EngineError):
        await run(plan, here)
    corpus = Corpus.open(here.corpus)
    bound = plan.with_judge(Judge(model="fake").bound(FakeEngine(script=compares_texts), asyncio.get_running_loop()))
    before = unsettled(corpus, plan)
    assert 100 < before.verdicts <= 176, "all but those without an answer, of which the model need not be asked"
    assert await asyncio.to_thread(settle, corpus, bound, lambda: True) == 0
    assert unsettled(corpus, plan) == before
    assert await asyncio.to_thread(settle, corpus, bound) == before.verdicts


def test_a_verifier_that_could_judge_no_sample_is_refused_by_name(make: Callable[..., Plan]) -> None:
    with pytest.raises(
        InputError, match=r"^verify\.also\[1\]: json needs a reference, and the prompt 'What is 1 \+ 3\?'"
    ):
        make(also=("format", "json"))
    with pytest.raises(InputError, match=r"^verify\.also\[0\]: math needs a reference, .* \(samples vote for math"):
        make(also=("math",), votes=None, verifier="format")
    every = [{"prompt": "1 + 1", "answer": "2"}]
    assert len(make(also=("json",), rows=every).tasks) == 1, "with gold it is the recipe's own affair"
