"""What GRPO asks of a data set: its prompts, each once, with what rewards the answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tracemill.core.settings import Settings
from tracemill.corpus.store import Corpus
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.runner import Watch, run_job
from tracemill.pipelines.train_section import DataSection
from tracemill.pipelines.training_data import parts, questions


def test_prompts_that_a_reward_model_judges_have_no_reference(tmp_path: Path) -> None:
    here = Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db")
    sums = {"source": "reasoning_gym", "task": "chain_sum", "count": 20, "seed": 1}
    job = make_plan(recipes.parse({"name": "sums", "prompts": [sums], "generate": {"engine": "fake", "samples": 4}}))
    asyncio.run(run_job(job, here, Watch()))
    corpus = Corpus.open(here.corpus)
    (rule,) = parts(corpus, [DataSection(of="sums")], seed=0)
    (liked,) = parts(corpus, [DataSection(of="sums", reward="preference")], seed=0)

    judged, scored = list(questions(corpus, rule)), list(questions(corpus, liked))
    assert [one.text for one in scored] == [one.text for one in judged]
    assert len({one.id for one in judged}) == len(judged) > 10
    assert {one.verifier for one in judged} == {"reasoning_gym"}
    assert all(one.reference for one in judged)
    assert {(one.verifier, one.reference) for one in scored} == {("preference", "")}

    assert rule.ids == liked.ids
    assert rule.digest != liked.digest
    assert liked.plain() == {**rule.plain(), "reward": "preference"}
