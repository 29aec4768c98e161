"""A job that is judged by a model: what its recipe must say, which engine is asked, and what happens when that dies."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import EngineError, InputError, RefusedRequest, SetupError
from tracemill.core.settings import Settings, settings
from tracemill.core.types import Completion, Outcome, Request
from tracemill.corpus.store import Corpus
from tracemill.factory.engines.fake import FakeEngine
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.engines import check_model, compares_texts, open_judge, open_plan_judge, shares_engine
from tracemill.pipelines.generate_section import GenerateSection
from tracemill.pipelines.generation import Generation
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.recipe import JudgeSection
from tracemill.pipelines.runner import Watch, run_job
from tracemill.verifiers.judge import Judge
from tracemill.verifiers.judging import THREADS

Generate = Callable[..., Coroutine[Any, Any, Progress]]
FAKE = {"engine": "fake"}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    rows = [{"prompt": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(50)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def judged_plan(path: Path, verifier: str = "judge", **parts: Any) -> Plan:
    source = {"source": "jsonl", "path": str(path), "verifier": verifier}
    generate = {"engine": "fake", "samples": 4, "concurrency": 64}
    data = {"name": "sums", "prompts": [source], "generate": generate, "judge": FAKE, **parts}
    return make_plan(recipes.parse({key: value for key, value in data.items() if value is not None}))


async def test_a_job_is_judged_by_the_model_that_its_recipe_names(questions: Path) -> None:
    here = settings()
    result = await run_job(judged_plan(questions, filters=[]), here, Watch())
    corpus = Corpus.open(here.corpus)
    found = Counter(
        (row["version"], row["outcome"], row["reason"])
        for row in corpus.rows("SELECT version, outcome, reason FROM verdicts WHERE verifier = 'judge'", {})
    )
    assert set(found) == {
        ("1/fake", "correct", "judged_correct: The texts are equal."),
        ("1/fake", "wrong", "judged_incorrect: The texts are different."),
        ("1/fake", "unparsed", "no_answer"),
    }
    assert sum(found.values()) == 200 == result.funnel.generated
    assert 0 < (result.funnel.kept or 0) == result.funnel.correct < 200


async def test_the_judge_can_judge_beside_a_rule(questions: Path, memory_ledger: Any, generate: Generate) -> None:
    plan, ledger = judged_plan(questions, "math", verify={"also": ["judge"]}), memory_ledger()
    async with open_plan_judge(plan, settings(), FakeEngine()) as judge:
        await generate(Generation(plan, ledger), FakeEngine(), judge)
    for _, (rule, asked) in ledger.samples:
        assert (rule.verifier, asked.verifier) == ("math", "judge")
        assert rule.outcome is asked.outcome or asked.outcome is Outcome.UNPARSED


async def test_a_plan_that_asks_nobody_opens_no_judge(questions: Path) -> None:
    plan = judged_plan(questions, "math", judge=None)
    assert plan.judge_section is None
    async with open_plan_judge(plan, settings(), FakeEngine()) as judge:
        assert judge is None


async def test_a_judge_that_dies_ends_the_run_and_the_next_one_goes_on(
    questions: Path, memory_ledger: Any, generate: Generate
) -> None:
    plan, ledger, maker = judged_plan(questions), memory_ledger(), FakeEngine(seconds=0.001)
    judge = Judge().bound(FakeEngine(script=compares_texts, dies_after=60), asyncio.get_running_loop())
    with pytest.raises(EngineError, match="the fake engine died after 60"):
        await generate(Generation(plan, ledger), maker, judge)
    kept = len(ledger.samples)
    assert ledger.finished == set(maker.completed), "what was generated is paid for, judged or not"
    failed = [
        verdicts for _, verdicts in ledger.samples if verdicts[0].reason.startswith("judge_failed: the fake engine")
    ]
    assert 0 < len(failed) < kept
    assert {(verdicts[0].outcome, verdicts[0].score) for verdicts in failed} == {(Outcome.UNDECIDED, None)}
    assert all(verdicts[1].verifier == "format" for verdicts in failed), "the other verdicts stand"
    judge = Judge().bound(FakeEngine(script=compares_texts), asyncio.get_running_loop())
    progress = await generate(Generation(plan, ledger), FakeEngine(), judge)
    assert (progress.durable, progress.new, len(ledger.samples)) == (200, 200 - kept, 200)


async def test_as_many_judgements_are_made_at_once_as_the_engine_takes(
    questions: Path, memory_ledger: Any, generate: Generate
) -> None:
    class Counting(FakeEngine):
        now = most = 0

        async def complete(self, request: Request) -> Completion:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await super().complete(request)
            finally:
                self.now -= 1

    engine = Counting(script=compares_texts, seconds=0.05)
    plan = judged_plan(questions, judge={**FAKE, "concurrency": THREADS + 16})
    await generate(Generation(plan, memory_ledger()), FakeEngine(), Judge().bound(engine, asyncio.get_running_loop()))
    assert THREADS < engine.most <= THREADS + 16


@pytest.mark.parametrize("concurrency", [4, 200], ids=["while samples are made", "when all are made"])
async def test_stopping_waits_for_the_judgements_of_what_was_made(
    concurrency: int, questions: Path, memory_ledger: Any, generate: Generate
) -> None:
    section = {"engine": "fake", "samples": 4, "concurrency": concurrency}
    plan, ledger, maker = judged_plan(questions, generate=section), memory_ledger(), FakeEngine(seconds=0.01)
    judge = Judge().bound(FakeEngine(script=compares_texts, seconds=0.01), asyncio.get_running_loop())

    def stop_at_twenty(progress: Progress) -> None:
        if progress.durable >= 20 and not running.cancelling():
            running.cancel()

    running = asyncio.create_task(generate(Generation(plan, ledger, stop_at_twenty), maker, judge))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ledger.finished == set(maker.completed)
    assert (len(ledger.samples) == 200) is (concurrency == 200)


async def test_a_model_that_takes_no_chat_is_found_before_anything_is_judged() -> None:
    class Base(FakeEngine):
        async def complete(self, request: Request) -> Completion:
            raise RefusedRequest("the model has no chat template")

    with pytest.raises(EngineError, match=r"judge\.model: gpt2 takes no request of a judge: .* no chat template"):
        async with open_judge(JudgeSection(model="gpt2"), settings(), shared=Base()):
            raise AssertionError("unreachable")


def test_a_verifier_that_asks_a_model_needs_one(questions: Path) -> None:
    for changes, field in (
        ({"judge": None}, r"prompts\[0\]\.verifier"),
        ({"judge": None, "verifier": "math", "verify": {"also": ["format", "judge"]}}, r"verify\.also\[1\]"),
    ):
        with pytest.raises(InputError, match=rf"^{field}: 'judge' asks a model that .* add judge: \{{model: …\}}$"):
            judged_plan(questions, **changes)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, r"^recipe: judge: name the model that judges"),
        ({"model": "m", "engine_options": {"max_num_seqs": 3}}, r"engine_options\.max_num_seqs is set by judge\.conc"),
        ({"model": "m", "max_token": 3}, r"judge: unknown key 'max_token' \(did you mean 'max_tokens'\?\)"),
        ({**FAKE, "prompt": "Is {data} right?"}, r"^judge\.prompt: has no \{request\}"),
    ],
)
def test_what_is_wrong_with_the_section_is_named(section: dict[str, Any], message: str, questions: Path) -> None:
    with pytest.raises(InputError, match=message):
        judged_plan(questions, judge=section)


def test_a_section_that_nothing_uses_is_refused(questions: Path) -> None:
    with pytest.raises(
        InputError, match=r"^judge: no verifier asks this model; add verify: \{also: \[format, judge\]\}"
    ):
        judged_plan(questions, "math")
    assert judged_plan(questions, "math", verify={"also": ["format", "judge"]}).judge_section is not None


def test_the_judges_settings_are_part_of_the_job_where_it_is_asked(questions: Path) -> None:
    base = judged_plan(questions).job_id
    assert judged_plan(questions, judge={**FAKE, "concurrency": 3, "gpus": 1}).job_id == base
    assert judged_plan(questions, judge={**FAKE, "max_tokens": 9}).job_id != base
    assert judged_plan(questions, judge={"model": "m"}).job_id != base


@pytest.mark.parametrize(
    ("judge", "generate", "is_shared"),
    [
        ({"model": "m"}, {"model": "m"}, True),
        ({"model": "m"}, {"model": "m", "gpus": 1, "engine_options": {"dtype": "float32"}}, True),
        ({"model": "m", "gpus": 1}, {"model": "m", "gpus": 1}, True),
        ({"model": "m", "gpus": 2}, {"model": "m", "gpus": 1}, False),
        ({"model": "m", "engine_options": {"dtype": "float32"}}, {"model": "m"}, False),
        ({"model": "m"}, {"model": "n"}, False),
        ({"model": "m"}, {"model": "m", "engine": "fake"}, False),
        (FAKE, {"engine": "fake"}, False),
    ],
)
def test_one_engine_serves_both_where_the_settings_are_the_same(
    judge: dict[str, Any], generate: dict[str, Any], is_shared: bool
) -> None:
    assert shares_engine(JudgeSection(**judge), GenerateSection(**generate)) is is_shared


async def test_a_shared_engine_that_is_reproducible_gets_seeded_requests(questions: Path) -> None:
    seeds: list[int | None] = []

    def keep(request: Request) -> str:
        seeds.append(request.sampling.seed)
        return "no"

    for reproducible in (True, False):
        generate = {"model": "m", "seed": 7, "reproducible": reproducible}
        plan = judged_plan(questions, judge={"model": "m"}, generate=generate)
        async with open_plan_judge(plan, settings(), FakeEngine(script=keep)) as judge:
            assert judge is not None
            assert judge.seed == (7 if reproducible else None)
    assert seeds == [7, None]


def test_a_judge_that_is_not_there_is_found_before_the_job_starts(questions: Path, tmp_path: Path) -> None:
    here = Settings(cache=tmp_path / "nothing")
    with pytest.raises(SetupError, match="model 'smollm2-135m' is not on this machine"):
        check_model(judged_plan(questions, judge={"model": "smollm2-135m"}), here)
    with pytest.raises(InputError, match=r"^judge\.model: unknown model 'smollm'"):
        check_model(judged_plan(questions, judge={"model": "smollm"}), here)


@pytest.mark.vllm
async def test_a_real_model_makes_and_judges_on_one_engine(questions: Path) -> None:
    """135M parameters judge nothing well: what it says is read, and what is no judgement is UNDECIDED with its reason."""
    options = {"max_model_len": 2048}
    shared = {"model": "smollm2-135m", "engine_options": options}
    source = {"source": "jsonl", "path": str(questions), "verifier": "judge", "limit": 6}
    plan = make_plan(
        recipes.parse(
            {
                "name": "asked",
                "prompts": [source],
                "generate": {**shared, "samples": 2, "max_tokens": 64, "thinking": "native"},
                "judge": {**shared, "max_tokens": 220, "constrained": True},
                "verify": {"also": []},
            }
        )
    )
    assert plan.judge_section is not None
    assert shares_engine(plan.judge_section, plan.recipe.generate)
    here = settings()
    result = await run_job(plan, here, Watch())
    assert result.funnel.generated == 12
    verdicts = Corpus.open(here.corpus).rows("SELECT outcome, reason, version FROM verdicts", {})
    assert len(verdicts) == 12
    codes = {row["reason"].partition(":")[0] for row in verdicts}
    assert codes <= {
        "judged_correct", "judged_incorrect", "judged_unclear", "lenient_judge", "judgement_cut_off",
        "conflicting_judgements", "invalid_judgement", "no_answer",
    }  # fmt: skip
    assert not any("no JSON object" in row["reason"] for row in verdicts), "the engine lets it write judgements only"
