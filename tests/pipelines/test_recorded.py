"""Recordings in recipes: what they come to in a plan, when two are the same job, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracemill.core.errors import InputError
from tracemill.core.settings import settings
from tracemill.pipelines import recipe as recipes
from tracemill.pipelines.jobs import JobStore
from tracemill.pipelines.plan import Plan, make_plan
from tracemill.pipelines.recorded import open_recording
from tracemill.pipelines.recording_section import RecordingSource
from tracemill.pipelines.service import submit

ROWS: list[dict[str, Any]] = [
    {"prompt": "1 + 1?", "answer": "2", "completion": ["2", "3", "2"]},
    {"prompt": "2 + 2?", "answer": "4", "completion": "4"},
]


def written(path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"source": "recording", "path": str(path)}


def planned(*prompts: dict[str, Any], samples: int = 2, **parts: Any) -> Plan:
    generate = {"engine": "replay", "samples": samples, "thinking": "native"}
    return make_plan(recipes.parse({"name": "test", "generate": generate, **parts, "prompts": list(prompts)}))


def test_a_prompt_gets_no_more_samples_than_are_recorded(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", ROWS)
    plan = planned(source)
    assert [task.prompt.text for task in plan.tasks] == ["1 + 1?", "2 + 2?"]
    assert [plan.recorded.count(key) for key in plan.tasks.ids()] == [3, 1]
    assert (list(plan.limits(2)), plan.samples, plan.merged) == ([2, 1], 3, 0)
    assert planned(source, samples=9).samples == 4


def test_the_same_completions_are_the_same_job_wherever_they_stand(tmp_path: Path) -> None:
    base = planned(written(tmp_path / "a.jsonl", ROWS)).job_id
    assert planned(written(tmp_path / "b.jsonl", ROWS)).job_id == base
    other = [ROWS[0], {**ROWS[1], "completion": "5"}]
    assert planned(written(tmp_path / "e.jsonl", other)).job_id != base, "they would be passed over as done"


def test_prompts_of_a_recording_may_be_asked_anew(tmp_path: Path) -> None:
    plan = planned(written(tmp_path / "a.jsonl", ROWS), generate={"engine": "fake", "samples": 5})
    assert plan.samples == 10
    other = [{**row, "completion": "?"} for row in ROWS]
    again = planned(written(tmp_path / "b.jsonl", other), generate={"engine": "fake", "samples": 5})
    assert again.job_id == plan.job_id, "their completions are no part of that job"


def test_a_recording_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    plan = planned(written(tmp_path / "a.jsonl", ROWS))
    source = plan.recipe.prompts[0]
    assert isinstance(source, RecordingSource)
    with open_recording([source.recording("prompts[0]")], plan.recorded) as recording:
        assert recording.completion(next(plan.tasks.ids()), 1).text == "3"
    written(tmp_path / "a.jsonl", ROWS[:1])
    with pytest.raises(InputError, match="the recorded files have changed since the job was planned; run it again"):
        open_recording([source.recording("prompts[0]")], plan.recorded)


def test_rows_without_gold_are_let_in_beside_others_but_not_alone(tmp_path: Path) -> None:
    bare = {"prompt": "Why?", "answer": None, "completion": "Because."}
    assert len(planned(written(tmp_path / "a.jsonl", [*ROWS, bare])).tasks) == 3
    alone = written(tmp_path / "b.jsonl", [bare])
    with pytest.raises(InputError, match=r"^prompts\[0\]: no row has a gold answer, and math needs one; name its"):
        planned(alone)
    assert len(planned({**alone, "verifier": "format"}).tasks) == 1
    assert len(planned(alone, verify={"majority": {"min_votes": 2}}).tasks) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layout": "openr1"},
            r"prompts\[0\]\.layout: Input should be 'columns', 'openr1_math', 'openthoughts' or 'chat'",
        ),
        ({"columns": {"txt": "q"}}, r"prompts\[0\]\.columns: unknown key 'txt' \(did you mean 'text'\?\)"),
        (
            {"layout": "openr1_math", "columns": {"text": "q"}},
            r"columns go with layout columns; openr1_math has its own",
        ),
        ({"verifier": "maths"}, r"prompts\[0\]\.verifier: unknown verifier 'maths' \(did you mean 'math'\?\)"),
        ({"columns": {"text": "q"}}, r"a\.jsonl:1: no column 'q' .*; set prompts\[0\]\.columns\.text"),
    ],
)
def test_what_is_wrong_is_one_line_with_field_and_remedy(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        planned({**written(tmp_path / "a.jsonl", ROWS), **change})


def test_replaying_goes_with_recordings_alone(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError, match=r"prompts\[1\] is no recording"):
        planned(source, {**source, "source": "jsonl"})
    with pytest.raises(InputError, match="engine replay goes with no budget, retry or mix: it generates nothing"):
        planned(source, generate={"engine": "replay", "retry": [{"samples": 1, "temperature": 1.0}]})


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jsonl"])
def test_a_recipe_from_outside_reads_recordings_from_one_folder_only(tmp_path: Path, path: str) -> None:
    data = {"name": "x", "prompts": [{"source": "recording", "path": path}], "generate": {"engine": "replay"}}
    here = settings().model_copy(update={"prompts": tmp_path / "prompts"})
    with pytest.raises(InputError, match=r"^prompts\[0\]\.path: .* is not in .* \(TRACEMILL_PROMPTS\)$"):
        submit(recipes.parse(data), here, JobStore(here.jobs_url))


def test_traces_of_a_recording_are_not_filed_under_the_default_model(tmp_path: Path) -> None:
    assert planned(written(tmp_path / "a.jsonl", ROWS)).recipe.generate.model_name == "recorded"
