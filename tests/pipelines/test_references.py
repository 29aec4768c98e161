"""References are looked at before a job starts: bad ones are counted, shown and recorded; none that is good is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tracemill.core import plugins
from tracemill.core.errors import InputError
from tracemill.core.ids import prompt_id
from tracemill.core.settings import Settings
from tracemill.core.types import Outcome, Prompt, Trace, Verdict
from tracemill.corpus.store import Corpus
from tracemill.factory.sources import reasoning_gym_prompts
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import make_plan
from tracemill.pipelines.progress import Progress
from tracemill.pipelines.references import (
    BadReference,
    ReferenceCheck,
    check_lines,
    check_references,
    needs_reference,
)
from tracemill.pipelines.runner import Watch, run_job
from tracemill.verifiers.verdicts import verdict

ALL = {name: module.plugin for name, module in plugins.load("verifiers").items()}


def prompts(verifier: str, *references: str, **metadata: Any) -> list[Prompt]:
    return [
        Prompt(prompt_id(f"Question {k}?", verifier, one), f"Question {k}?", "any", verifier, one, "test", metadata)
        for k, one in enumerate(references)
    ]


def test_bad_ones_are_counted_and_the_first_are_shown() -> None:
    asked = prompts("math", "18", "\\frac{1", "x^2", "", "\\frac{1", "\\sqrt{", "[1,2)", "\\frac{1")
    found = check_references(asked, len(asked), ALL)
    assert (found.prompts, found.checked, found.bad, found.missing) == (8, 8, 4, 1)
    assert [one.reference for one in found.examples] == ["\\frac{1", "\\frac{1", "\\sqrt{"]
    assert found.examples[0] == BadReference(asked[1].id, "Question 1?", "\\frac{1", found.examples[0].reason)
    assert found.examples[0].reason.startswith("bad_reference")
    missing, bad = check_lines(found)
    assert missing == "1 of 8 prompts have no gold answer: undecided, unless samples vote (verify.majority)"
    assert bad.startswith(
        "4 of 8 references cannot be read and will be undecided: '\\\\frac{1' of 'Question 1?' (bad_ref"
    )


@pytest.mark.parametrize("name", ["gsm8k_train", "math500"])
def test_gold_answers_of_real_sets_are_not_doubted(real_data: Path, name: str) -> None:
    with gzip.open(real_data / "prompts" / f"{name}.jsonl.gz", "rt") as lines:
        asked = prompts("math", *(str(json.loads(line)["answer"]) for line in lines))
    assert len(asked) >= 500
    found = check_references(asked, len(asked), ALL)
    assert (found.checked, found.bad, found.missing) == (len(asked), 0, 0), found.examples


def test_generated_questions_need_no_reference_where_the_puzzle_says_it_all() -> None:
    asked = [*reasoning_gym_prompts("gcd", 20, 1, {}, ""), *reasoning_gym_prompts("rubiks_cube", 5, 1, {}, "")]
    assert any(not prompt.reference for prompt in asked)
    assert not any(needs_reference(prompt, ALL["reasoning_gym"]) for prompt in asked)
    found = check_references(asked, len(asked), ALL)
    assert (found.bad, found.missing) == (0, 0)
    assert list(check_lines(found)) == []


@pytest.mark.parametrize(
    ("verifier", "needs"), [("math", True), ("exact", True), ("choice", True), ("judge", True), ("format", False)]
)
def test_which_verifiers_need_a_reference(verifier: str, needs: bool) -> None:
    (prompt,) = prompts(verifier, "")
    assert needs_reference(prompt, ALL[verifier]) is needs


@dataclass(frozen=True, slots=True)
class Counting:
    """Reads every reference and keeps count."""

    calls: list[str]
    name: ClassVar[str] = "counting"
    version: ClassVar[str] = "1"

    def verify(self, prompt: Prompt, trace: Trace) -> Verdict:
        self.calls.append(prompt.reference)
        return verdict(self, trace, Outcome.CORRECT, "equal", trace.answer)


Counting.__module__ = "tracemill.test"  # else it would count in a process of its own, as installed verifiers do


def test_equal_references_are_looked_at_once_and_what_there_is_no_time_for_is_said() -> None:
    asked = [*prompts("counting", *["7"] * 300), *prompts("counting", *map(str, range(600)))]
    counting = Counting([])
    told: list[tuple[int, int]] = []
    found = check_references(asked, len(asked), {"counting": counting}, lambda done, total: told.append((done, total)))
    assert (found.checked, found.bad) == (900, 0)
    assert told[-1] == (900, 900)
    assert 2 * 600 <= len(counting.calls) < 2 * 700, "a few at a time may not know of each other"
    late = check_references(asked, len(asked), {"counting": counting}, seconds=0.0)
    assert late.checked == 0
    assert list(check_lines(late)) == ["900 references were not checked, for it took too long"]
    assert check_references(asked, len(asked), {"counting": counting}, stopped=lambda: True).checked == 0


def plan_of(tmp_path: Path, answers: Sequence[str]) -> Any:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        "".join(json.dumps({"prompt": f"{k} + {k}", "answer": one}) + "\n" for k, one in enumerate(answers))
    )
    recipe = {"name": "some", "prompts": [{"source": "jsonl", "path": str(path)}]}
    return make_plan(recipes.parse({**recipe, "generate": {"engine": "fake", "samples": 2}}))


async def test_a_job_is_told_of_bad_ones_and_refused_where_all_are(tmp_path: Path) -> None:
    here = Settings(corpus=tmp_path / "corpus", jobs_url=f"sqlite:///{tmp_path}/jobs.db")
    told: list[ReferenceCheck] = []
    await run_job(plan_of(tmp_path, ["0", "2", "\\frac{1"]), here, Watch(on_references=told.append))
    assert [(found.prompts, found.bad) for found in told] == [(3, 1)]
    with pytest.raises(InputError, match=r"none of the 2 references can be read by its verifier, .* check columns"):
        await run_job(plan_of(tmp_path, ["\\frac{1", "\\sqrt{"]), here, Watch())
    assert Corpus.open(here.corpus).rows("SELECT count(*) AS n FROM prompts", {}) == [{"n": 3}], (
        "nothing of a refused job"
    )


def test_what_was_found_stands_in_the_jobs_store(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ["0", "\\frac{1"])
    store = JobStore(f"sqlite:///{tmp_path}/jobs.db")
    store.submit(plan.job_id, plan.recipe, "command")
    store.set_references(plan.job_id, check_references(plan.tasks.prompts(), len(plan.tasks), ALL))
    store.set_progress(plan.job_id, Progress(4, 4, 4, 2, {}, 10, 10, 1.0))
    job = store.get(plan.job_id)
    assert job is not None
    assert job.progress["durable"] == 4
    assert job.progress["references"]["bad"] == 1
    assert job.progress["references"]["examples"][0]["reference"] == "\\frac{1"
